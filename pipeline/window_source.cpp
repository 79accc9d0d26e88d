#include "pipeline/window_source.h"

#include "dsp/sample_store.h"
#include "dsp/speech_segmenter.h"
#include "pipeline/stopwatch.h"
#include "pipeline/vad_model.h"

namespace parley::pipeline {

struct WindowSource::Front {
  dsp::SpeechSegmenter segmenter;
  dsp::SampleStore store = {};
};

WindowSource::WindowSource(dsp::AudioReader audio, const dsp::LogMel& log_mel, int64_t frames,
                           const TranscribeOptions& options, std::stop_token stop)
    : audio_(std::move(audio)),
      log_mel_(log_mel),
      frames_(frames),
      front_(std::make_unique<Front>(Front{dsp::SpeechSegmenter(
          frame_classifier(options),
          {.detector = {}, .planner = {.endpoint_silence = options.endpoint_silence}})})),
      caller_stop_(std::move(stop)),
      thread_([this](const std::stop_token& own) { run(own); }) {}

WindowSource::~WindowSource() {
  thread_.request_stop();
  queue_.close();
}

void WindowSource::run(const std::stop_token& stop) {
  try {
    std::vector<float> block(dsp::kSampleRate);
    while (!stop.stop_requested() && !caller_stop_.stop_requested()) {
      size_t count;
      {
        const Stopwatch watch(summary_.decode_audio);
        count = audio_.read(block);
      }
      const std::span<const float> samples(block.data(), count);
      {
        const Stopwatch watch(summary_.vad);
        front_->store.push(samples);
        if (count > 0) {
          front_->segmenter.push(samples);
        } else {
          front_->segmenter.finish();
        }
      }
      take_windows();
      if (count == 0) break;
    }
    summary_.samples = audio_.samples_read();
    summary_.notices = notices_of(audio_);
    queue_.close();
  } catch (...) {
    queue_.fail(std::current_exception());
  }
}

void WindowSource::take_windows() {
  while (const auto skipped = front_->segmenter.next_skipped())
    summary_.skipped.push_back(*skipped);
  while (const auto window = front_->segmenter.next_window()) {
    SourceWindow item{*window, std::vector<float>(static_cast<size_t>(frames_) *
                                                  static_cast<size_t>(log_mel_.config().n_mels))};
    {
      const Stopwatch watch(summary_.frontend);
      log_mel_.window(
          front_->store.view(window->start, window->end),
          nn::Tensor(item.mel.data(), {frames_, log_mel_.config().n_mels}, nn::DType::kF32));
    }
    if (!queue_.push(std::move(item))) return;
  }
  front_->store.discard_before(front_->segmenter.planner().needed_from());
}

std::vector<std::string> notices_of(const dsp::AudioReader& audio) {
  std::vector<std::string> notices;
  if (audio.truncated())
    notices.emplace_back("the input ends before its header says, or a part of it is damaged");
  if (audio.non_finite_samples() > 0) {
    notices.push_back(std::to_string(audio.non_finite_samples()) +
                      " samples that are not numbers were taken for silence");
  }
  return notices;
}

}  // namespace parley::pipeline
