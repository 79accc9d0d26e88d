// Whisper checkpoints, of whatever format, to the stages of a speech-to-text model.
#pragma once

#include <filesystem>

#include "parley/convert/convert.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/manifest.h"

namespace parley::stage {

// Writes the stages and the tokenizer into the folder; returns the model's manifest, still without
// a name. Throws Error.
ModelManifest convert_whisper(const std::filesystem::path& source, const FolderWriter& folder,
                              const ConvertOptions& options);

}  // namespace parley::stage
