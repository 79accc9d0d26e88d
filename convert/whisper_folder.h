// Whisper checkpoints as folders of Hugging Face transformers.
#pragma once

#include <filesystem>

#include "parley/convert/checkpoint.h"

namespace parley::stage {

// Throws Error naming the file and what is wrong with it.
WhisperCheckpoint open_whisper_folder(const std::filesystem::path& folder);

// config.json as a Whisper's dimensions. Throws Error when it is another architecture or something
// is missing.
WhisperDims parse_whisper_config(const nlohmann::json& config, const std::string& where);

// The output matrix is the token embedding in every Whisper; checkpoints may store it again, or
// under the other name ("proj_out.weight") alone. Leaves the embedding; throws Error when they
// differ.
void tie_output(WhisperCheckpoint& checkpoint);

}  // namespace parley::stage
