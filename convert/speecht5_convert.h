// SpeechT5 text-to-speech checkpoints (Hugging Face folders) to the stages of a text-to-speech
// model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "parley/convert/convert.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/manifest.h"

namespace parley::stage {

// Writes the stages text_encoder and mel_decoder (the postnet's batch norm folded into its
// convolutions) and spm_char.model into the folder; returns the model's manifest, still without a
// name. Throws Error.
ModelManifest convert_speecht5(const std::filesystem::path& source, const FolderWriter& folder,
                               const ConvertOptions& options);

// Our name of a checkpoint's tensor, "<stage>.<tensor>"; nothing for what is computed anew (the
// positional encodings) or counts training steps.
std::optional<std::string> name_from_speecht5(std::string_view theirs);

}  // namespace parley::stage
