#include "pipeline/transcriber.h"

#include <utility>

#include "base/error.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"

namespace parley::pipeline {

Transcriber::Transcriber(std::shared_ptr<const SpeechModel> model, int threads)
    : model_(std::move(model)), ctx_({.threads = threads}) {}

Transcriber::~Transcriber() = default;

Transcript Transcriber::transcribe(dsp::AudioReader audio, const TranscribeOptions& options,
                                   const TranscribeEvents& events, std::stop_token stop) {
  Transcript result;
  std::optional<Input> only =
      Input{.audio = std::move(audio),
            .events = events,
            .done = [&](Transcript done) { result = std::move(done); },
            .failed = [](std::exception_ptr error) { std::rethrow_exception(std::move(error)); }};
  transcribe_all([&](bool) { return std::exchange(only, std::nullopt); }, options, std::move(stop));
  return result;
}

void Transcriber::transcribe_all(const NextInput& next, const TranscribeOptions& options,
                                 std::stop_token stop) {
  check_options(options);
  ctx_.bind_to_this_thread();
  ctx_.set_stop_token(stop);
  timings_ = {};
  const Stopwatch watch(timings_.wall_seconds);
  if (options.strategy == Strategy::kWindows) {
    transcribe_windows(ctx_, *model_, next, options, stop, timings_);
  } else {
    transcribe_one_by_one(next, options);
  }
}

void Transcriber::transcribe_one_by_one(const NextInput& next, const TranscribeOptions& options) {
  while (std::optional<Input> input = next(/*wait=*/true)) {
    std::optional<Transcript> transcript;
    try {
      transcript = transcribe_sequential(ctx_, *model_, std::move(input->audio), options,
                                         input->events, timings_);
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception&) {
      input->failed(std::current_exception());
      continue;
    }
    timings_.audio_seconds += transcript->duration;
    input->done(std::move(*transcript));
  }
}

}  // namespace parley::pipeline
