#include "parley/pipeline/stt/window_source.h"

#include "parley/core/base/stopwatch.h"

namespace parley::pipeline {

WindowSource::WindowSource(dsp::AudioReader audio, const dsp::LogMel& log_mel, int64_t frames,
                           const TranscribeOptions& options, std::stop_token stop)
    : audio_(std::move(audio)),
      cutter_(log_mel, frames, options),
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
        if (count > 0) {
          cutter_.push(samples);
        } else {
          cutter_.finish();
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
  while (const auto skipped = cutter_.next_skipped()) summary_.skipped.push_back(*skipped);
  while (true) {
    std::optional<SourceWindow> window;
    {
      const Stopwatch watch(summary_.frontend);
      window = cutter_.next();
    }
    if (!window || !queue_.push(std::move(*window))) return;
  }
}

std::vector<std::string> notices_of(const dsp::AudioReader& audio) { return audio.notices(); }

}  // namespace parley::pipeline
