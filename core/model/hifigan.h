// HiFi-GAN generators (Kong et al. 2020, https://arxiv.org/abs/2010.05646): dimensions
// and their bounds, tensors, the stage's manifest. Reference: jik876/hifi-gan models.py
// (Generator); transformers modeling_speecht5.py (SpeechT5HifiGan).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parley/core/model/manifest.h"
#include "parley/core/model/mel_contract.h"
#include "parley/core/model/named_shape.h"

namespace parley::stage {

inline constexpr const char* kHifiGanKind = "hifigan";

// Under the names of transformers' config.json, which are also those of the stage's config.
struct HifiGanDims {
  int64_t model_in_dim = 80;               // mel bands
  int64_t upsample_initial_channel = 512;  // halved by every upsampling
  std::vector<int64_t> upsample_rates;
  std::vector<int64_t> upsample_kernel_sizes;
  std::vector<int64_t> resblock_kernel_sizes;
  std::vector<std::vector<int64_t>> resblock_dilation_sizes;
  int64_t resblock = 1;  // 1: two convolutions for each dilation, 2: one
  double leaky_relu_slope = 0.1;
  bool normalize_before = false;  // (mel - mean) / scale comes first

  // Channels after `upsamplings` of them.
  int64_t channels(size_t upsamplings) const { return upsample_initial_channel >> upsamplings; }
  int64_t hop_length() const;  // samples of a frame
};

// From config.json or the config of a stage. Throws Error named by `where` for everything that is
// missing, of a wrong type or out of range.
HifiGanDims parse_hifigan_dims(const nlohmann::json& config, const std::string& where);
nlohmann::json to_json(const HifiGanDims& dims);

// Every tensor of the stage, under transformers' names: conv_pre, upsampler.<i> [in, out, kernel],
// resblocks.<i>.convs1.<j> and convs2.<j> (convs.<j> for resblock 2), conv_post; mean and scale.
std::vector<NamedShape> hifigan_tensors(const HifiGanDims& dims);

// Without weights.
StageManifest hifigan_manifest(const HifiGanDims& dims, const MelContract& mel);

}  // namespace parley::stage
