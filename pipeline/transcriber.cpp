#include "pipeline/transcriber.h"

#include <cmath>

#include "base/error.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"

namespace parley::pipeline {

namespace {

void check(const TranscribeOptions& options) {
  const auto require = [](bool good, const char* option, const char* range) {
    if (!good) throw Error(option, std::string("must be ") + range);
  };
  require(options.beam >= 1 && options.beam <= 64, "beam", "between 1 and 64");
  require(options.best_of >= 1 && options.best_of <= 64, "best-of", "between 1 and 64");
  require(options.batch >= 1 && options.batch <= 64, "batch", "between 1 and 64");
  require(std::isfinite(options.patience) && options.patience > 0, "patience", "above 0");
  require(options.endpoint_silence > 0, "endpoint-silence", "above 0");
  require(std::isfinite(options.hotword_boost) && options.hotword_boost >= 0, "hotword-boost",
          "0 or above");
  for (const float t : options.temperatures)
    require(std::isfinite(t) && t >= 0, "temperature", "0 or above");
}

}  // namespace

Transcriber::Transcriber(std::shared_ptr<const SpeechModel> model, int threads)
    : model_(std::move(model)), ctx_({.threads = threads}) {}

Transcriber::~Transcriber() = default;

Transcript Transcriber::transcribe(dsp::AudioReader audio, const TranscribeOptions& options,
                                   const TranscribeEvents& events, std::stop_token stop) {
  check(options);
  ctx_.bind_to_this_thread();
  ctx_.set_stop_token(stop);
  timings_ = {};
  Transcript transcript;
  {
    const Stopwatch watch(timings_.wall_seconds);
    transcript =
        options.strategy == Strategy::kWindows
            ? transcribe_windows(ctx_, *model_, std::move(audio), options, events, stop, timings_)
            : transcribe_sequential(ctx_, *model_, std::move(audio), options, events, timings_);
  }
  timings_.audio_seconds = transcript.duration;
  return transcript;
}

}  // namespace parley::pipeline
