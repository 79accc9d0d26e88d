#include "parley/pipeline/stt/window_cutter.h"

#include <algorithm>
#include <utility>

#include "parley/pipeline/stt/vad_model.h"

namespace parley::pipeline {

WindowCutter::WindowCutter(const dsp::LogMel& log_mel, int64_t frames,
                           const TranscribeOptions& options, bool even_level)
    : log_mel_(log_mel),
      frames_(frames),
      detects_(detects_speech(options)),
      segmenter_(frame_classifier(options, even_level),
                 {.detector = {}, .planner = {.endpoint_silence = options.endpoint_silence}}) {}

void WindowCutter::push(std::span<const float> samples) {
  store_.push(samples);
  segmenter_.push(samples);
}

void WindowCutter::finish() { segmenter_.finish(); }

std::optional<SourceWindow> WindowCutter::next() {
  const auto window = segmenter_.next_window();
  if (window) {
    SourceWindow out = cut(*window);
    const auto samples = store_.view(window->start, window->end);
    out.samples.assign(samples.begin(), samples.end());
    if (detects_) out.speech = segmenter_.speech_in(window->start, window->end);
    return out;
  }
  store_.discard_before(planner().needed_from());
  segmenter_.forget_before(planner().needed_from());
  return std::nullopt;
}

SourceWindow WindowCutter::open_window() const {
  const int64_t start = planner().open_window().value();
  const int64_t longest = frames_ * log_mel_.config().hop_length;
  return cut({.start = start, .end = std::min(position(), start + longest)});
}

SourceWindow WindowCutter::cut(const dsp::Window& window) const {
  const int64_t n_mels = log_mel_.config().n_mels;
  SourceWindow out{window, std::vector<float>(static_cast<size_t>(frames_ * n_mels))};
  log_mel_.window(store_.view(window.start, window.end),
                  nn::Tensor(out.mel.data(), {frames_, n_mels}, nn::DType::kF32));
  return out;
}

}  // namespace parley::pipeline
