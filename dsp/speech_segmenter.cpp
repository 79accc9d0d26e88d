#include "parley/dsp/speech_segmenter.h"

#include <algorithm>
#include <utility>

namespace parley::dsp {

namespace {

// Speech begins at a frame of this probability and lasts while they are above the other one
// (get_speech_timestamps of silero-vad).
constexpr float kBegins = 0.5f;
constexpr float kLasts = 0.35f;

}  // namespace

SpeechSegmenter::SpeechSegmenter(FrameClassifier classifier, const SegmenterOptions& options)
    : classifier_(std::move(classifier)),
      detector_(classifier_.frame_samples, options.detector),
      planner_(options.planner) {}

void SpeechSegmenter::push(std::span<const float> samples) {
  const auto frame = static_cast<size_t>(classifier_.frame_samples);
  position_ += static_cast<int64_t>(samples.size());
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), frame - frame_.size());
    frame_.insert(frame_.end(), samples.begin(), samples.begin() + static_cast<ptrdiff_t>(count));
    samples = samples.subspan(count);
    if (frame_.size() < frame) return;
    classify();
    plan();
  }
}

void SpeechSegmenter::finish() {
  if (!frame_.empty()) {  // the last frame is completed with silence
    frame_.resize(static_cast<size_t>(classifier_.frame_samples));
    classify();
  }
  detector_.finish(position_);
  plan();
  planner_.finish();
}

void SpeechSegmenter::plan() {
  int64_t start = detector_.taken();
  while (const auto run = detector_.next()) {
    planner_.advance(run->speech, run->end);
    if (run->speech && !speech_.empty() && speech_.back().end == start) {
      speech_.back().end = run->end;
    } else if (run->speech) {
      speech_.push_back({start, run->end});
    }
    start = run->end;
  }
}

void SpeechSegmenter::classify() {
  const float probability = classifier_.probability(frame_);
  probabilities_.push_back(probability);
  in_speech_ = probability >= (in_speech_ ? kLasts : kBegins);
  detector_.push(in_speech_);
  frame_.clear();
}

std::vector<SpeechSpan> SpeechSegmenter::speech_in(int64_t start, int64_t end) const {
  std::vector<SpeechSpan> inside;
  for (const Span& span : speech_) {
    const Span part{std::max(span.start, start), std::min(span.end, end)};
    if (part.start < part.end) inside.push_back({part, peak_in(part)});
  }
  return inside;
}

float SpeechSegmenter::peak_in(const Span& span) const {
  const int64_t frame = classifier_.frame_samples;
  const auto at = [&](int64_t index) {
    const int64_t held =
        std::clamp<int64_t>(index - first_probability_, 0, std::ssize(probabilities_));
    return probabilities_.begin() + held;
  };
  const auto begin = at(span.start / frame);
  const auto end = at((span.end + frame - 1) / frame);
  return begin < end ? *std::max_element(begin, end) : 0;
}

void SpeechSegmenter::forget_before(int64_t sample) {
  while (!speech_.empty() && speech_.front().end <= sample) speech_.pop_front();
  while (!probabilities_.empty() &&
         (first_probability_ + 1) * classifier_.frame_samples <= sample) {
    probabilities_.pop_front();
    ++first_probability_;
  }
}

}  // namespace parley::dsp
