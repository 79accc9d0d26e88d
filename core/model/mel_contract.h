// What two stages of a text-to-speech model must agree on before one may feed the other: what a mel
// frame is.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "parley/core/model/model.h"

namespace parley::stage {

// The log-mel frames that a mel decoder makes and a vocoder takes: field "mel" of the config of
// both stages, under these names. The defaults are SpeechT5's (transformers,
// feature_extraction_speecht5.py).
struct MelContract {
  int64_t sample_rate = 16000;  // Hz
  int64_t hop_length = 256;     // samples between frames
  int64_t win_length = 1024;    // samples under the Hann window
  int64_t n_fft = 1024;
  int64_t n_mels = 80;  // bands in a frame
  double f_min = 80;    // Hz
  double f_max = 7600;
  std::string mel_scale = "slaney";    // slaney | htk
  std::string mel_norm = "slaney";     // slaney | none
  std::string spectrum = "magnitude";  // magnitude | power
  std::string log = "log10";           // log10 | ln
  double log_floor = 1e-10;            // smaller values become this one before the logarithm
  std::string normalization = "none";  // what is done to the logarithm; only "none" is known

  bool operator==(const MelContract&) const = default;
};

nlohmann::json to_json(const MelContract& contract);
// Throws Error named by `where` for everything that is missing, of a wrong type or out of range.
MelContract parse_mel_contract(const nlohmann::json& mel, const std::string& where);
// The field "mel" of a stage's config.
MelContract mel_contract(const Stage& stage);

// Throws Error naming both stages and the first thing they disagree about unless their contracts
// are the same. where: what the message calls the taker; empty: its folder.
void require_same_mel(const Stage& maker, const Stage& taker, const std::string& where = "");

}  // namespace parley::stage
