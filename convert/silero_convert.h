// Silero's voice detector: its checkpoint (silero_vad_16k.safetensors of the package silero-vad) to
// the one stage of a vad model.
#pragma once

#include <filesystem>
#include <optional>

#include "parley/convert/convert.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/manifest.h"

namespace parley::stage {

// The safetensors file when `source` is it, or a folder that holds one *.safetensors with the
// detector's tensors; nothing otherwise.
std::optional<std::filesystem::path> find_silero(const std::filesystem::path& source);

// As convert_whisper(). Nothing is rounded, whatever the options say: the weights are 1.2 MB.
ModelManifest convert_silero(const std::filesystem::path& file, const FolderWriter& folder,
                             const ConvertOptions& options);

}  // namespace parley::stage
