// Silero's voice detector: its checkpoint (silero_vad_16k.safetensors of the package silero-vad) to
// the one stage of a vad model.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "stage/convert.h"
#include "stage/folder_writer.h"
#include "stage/manifest.h"
#include "stage/named_shape.h"

namespace parley::stage {

inline constexpr const char* kSileroVadKind = "silero_vad";
inline constexpr const char* kSileroVadStage = "vad";

// Every tensor of the stage, under the checkpoint's names.
std::vector<NamedShape> silero_tensors();

// The safetensors file when `source` is it, or a folder that holds one *.safetensors with the
// detector's tensors; nothing otherwise.
std::optional<std::filesystem::path> find_silero(const std::filesystem::path& source);

// As convert_whisper(). Nothing is rounded, whatever the options say: the weights are 1.2 MB.
ModelManifest convert_silero(const std::filesystem::path& file, const FolderWriter& folder,
                             const ConvertOptions& options);

}  // namespace parley::stage
