// openai/whisper's .pt checkpoints: torch.save({"dims": {...}, "model_state_dict": {...}}).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>

#include "parley/convert/checkpoint.h"
#include "parley/convert/torch_file.h"

namespace parley::stage {

// Throws Error naming the file and what is wrong with it.
WhisperCheckpoint open_openai(const std::filesystem::path& path);
WhisperCheckpoint read_openai(std::shared_ptr<const TorchFile> file);

}  // namespace parley::stage
