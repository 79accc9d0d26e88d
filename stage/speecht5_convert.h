// SpeechT5 text-to-speech checkpoints (Hugging Face folders) to the stages of a text-to-speech
// model.
#pragma once

#include <filesystem>

#include "stage/convert.h"
#include "stage/folder_writer.h"
#include "stage/manifest.h"

namespace parley::stage {

inline constexpr const char* kTextEncoderKind = "speecht5_text_encoder";
inline constexpr const char* kMelDecoderKind = "speecht5_mel_decoder";
inline constexpr const char* kSentencePieceFile = "spm_char.model";

// Writes the stages text_encoder and mel_decoder (the postnet's batch norm folded into its
// convolutions) and spm_char.model into the folder; returns the model's manifest, still without a
// name. Throws Error.
ModelManifest convert_speecht5(const std::filesystem::path& source, const FolderWriter& folder,
                               const ConvertOptions& options);

}  // namespace parley::stage
