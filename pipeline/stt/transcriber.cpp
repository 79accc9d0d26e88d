#include "parley/pipeline/stt/transcriber.h"

#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"
#include "parley/pipeline/stt/speech_engine.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/strategies.h"

namespace parley::pipeline {

std::shared_ptr<const SpeechModel> load_speech_model(const std::filesystem::path& folder,
                                                     nn::Precision precision, int threads) {
  return SpeechModel::load(folder, precision, threads);
}

std::shared_ptr<SpeechEngine> start_speech_engine(std::shared_ptr<const SpeechModel> model,
                                                  std::shared_ptr<Engine> engine, int windows) {
  return std::make_shared<SpeechEngine>(std::move(engine), std::move(model), windows);
}

Transcriber::Transcriber(std::shared_ptr<const SpeechModel> model, int threads)
    : Transcriber(start_speech_engine(std::move(model), start_engine(threads))) {}

Transcriber::Transcriber(std::shared_ptr<SpeechEngine> engine) : engine_(std::move(engine)) {}

Transcriber::~Transcriber() = default;

const SpeechModel& Transcriber::model() const { return engine_->model(); }

void Transcriber::set_observer(nn::Observer* observer) { engine_->engine().set_observer(observer); }

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
  timings_ = {};
  const Stopwatch watch(timings_.wall_seconds);
  if (options.strategy == Strategy::kWindows) {
    transcribe_windows(*engine_, next, options, stop, timings_);
  } else {
    transcribe_one_by_one(next, options, stop);
  }
}

void Transcriber::transcribe_one_by_one(const NextInput& next, const TranscribeOptions& options,
                                        const std::stop_token& stop) {
  while (std::optional<Input> input = next(/*wait=*/true)) {
    std::optional<Transcript> transcript;
    try {
      transcript = transcribe_sequential(*engine_, std::move(input->audio), options, input->events,
                                         stop, timings_);
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
