// HiFi-GAN checkpoints to the stage "vocoder".
#pragma once

#include <filesystem>

#include "parley/convert/checkpoint.h"
#include "parley/convert/convert.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/hifigan.h"
#include "parley/core/model/manifest.h"
#include "parley/core/model/mel_contract.h"

namespace parley::stage {

struct HifiGanCheckpoint : Checkpoint {
  HifiGanDims dims;
  MelContract mel;
};

// Whether the source looks like one of the kinds that open_hifigan() reads.
bool is_hifigan(const std::filesystem::path& source);
// A folder of transformers (SpeechT5HifiGan, as microsoft/speecht5_hifigan), or a generator of
// jik876/hifi-gan: the file g_XXXXXXXX, with its config.json beside it, or their folder. Weight
// norm is folded. Tensors are under the names of the stage "vocoder". Throws Error.
HifiGanCheckpoint open_hifigan(const std::filesystem::path& source);

// A model folder with the stage "vocoder" alone.
ModelManifest convert_hifigan(const std::filesystem::path& source, const FolderWriter& folder,
                              const ConvertOptions& options);

}  // namespace parley::stage
