// Speaker vectors from files to the stage "voices".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "parley/core/model/folder_writer.h"

namespace parley::stage {

struct Voice {
  std::string name;           // letters, digits, '.', '_', '-'
  std::vector<float> vector;  // [speaker_embedding_dim], as the speaker network made it
};

// Voices from a .npy file (named as the file), a .safetensors file (one for each tensor), or a
// folder of such files; sorted by name. `size`: what every vector must have. Throws Error naming
// the file, and the tensor, at fault.
std::vector<Voice> read_voices(const std::filesystem::path& source, int64_t size);

// Writes stage "voices": weights.safetensors with one f32 tensor for each voice. The default voice
// is the first.
void write_voices(const FolderWriter& folder, const std::vector<Voice>& voices);

}  // namespace parley::stage
