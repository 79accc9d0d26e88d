// Voices: one speaker vector (x-vector) each, under a name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "stage/folder_writer.h"
#include "stage/manifest.h"
#include "stage/model.h"

namespace parley::stage {

inline constexpr const char* kVoicesKind = "voices";

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

// The voices of a stage of kind "voices". Throws Error.
std::vector<std::string> voice_names(const Stage& stage);
std::string default_voice(const Stage& stage);
int64_t voice_size(const Stage& stage);  // numbers in a vector
std::vector<float> voice_vector(const Stage& stage, const std::string& name);

}  // namespace parley::stage
