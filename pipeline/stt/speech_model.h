// A speech-to-text model, loaded: its stages ready to run on this CPU.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "parley/core/model/model.h"
#include "parley/core/model/packed_cache.h"
#include "parley/core/nn/weight.h"
#include "parley/decoder/whisper.h"
#include "parley/dsp/log_mel.h"
#include "parley/encoder/whisper.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::pipeline {

// Immutable: any number of Transcribers may share one.
struct SpeechModel {
  stage::Model files;
  nn::Precision precision;
  dsp::LogMel log_mel;
  encoder::WhisperEncoder encoder;
  decoder::WhisperDecoder decoder;
  text::Tokenizer tokenizer;
  bool multilingual;

  // Opens a model folder and packs its weights. threads: for packing; 0: all processors. cache:
  // where packed weights are kept from one process to the next, if anywhere. Throws Error: not a
  // model, not speech to text, damaged, or its stages do not fit together.
  static std::shared_ptr<const SpeechModel> load(
      const std::filesystem::path& folder, nn::Precision precision = nn::Precision::kAuto,
      int threads = 0, const std::optional<stage::PackedCache>& cache = std::nullopt);
};

// The front end of a speech-to-text model. Throws Error.
dsp::LogMel front_end(const stage::Model& model);

// The window with this log-mel, f32 [encoder.frames(), n_mels], as the decoder hears it.
std::shared_ptr<const decoder::CrossState> listen(nn::Context& ctx, const SpeechModel& model,
                                                  std::span<const float> mel);

}  // namespace parley::pipeline
