// Silero's voice detector (https://github.com/snakers4/silero-vad): one stage of fixed dimensions.
#pragma once

#include <vector>

#include "parley/core/model/manifest.h"
#include "parley/core/model/named_shape.h"

namespace parley::stage {

inline constexpr const char* kSileroVadKind = "silero_vad";
inline constexpr const char* kSileroVadStage = "vad";

// Every tensor of the stage, under the checkpoint's names.
std::vector<NamedShape> silero_vad_tensors();

// Without weights.
StageManifest silero_vad_manifest();

}  // namespace parley::stage
