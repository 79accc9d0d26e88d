#include "pipeline/speech_map.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace parley::pipeline {

namespace {

constexpr int64_t kFrame = 160;  // samples

}  // namespace

SpeechMap::SpeechMap(dsp::FrameClassifier classifier)
    : classifier_(std::move(classifier)), detector_(classifier_.frame_samples) {}

void SpeechMap::push(std::span<const float> samples) {
  const auto frame = static_cast<size_t>(classifier_.frame_samples);
  samples_ += static_cast<int64_t>(samples.size());
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), frame - frame_.size());
    frame_.insert(frame_.end(), samples.begin(), samples.begin() + static_cast<ptrdiff_t>(count));
    samples = samples.subspan(count);
    if (frame_.size() < frame) return;
    detector_.push(classifier_.is_speech(frame_));
    frame_.clear();
    take_runs();
  }
}

void SpeechMap::finish() {
  if (!frame_.empty()) {  // the last frame is completed with silence
    frame_.resize(static_cast<size_t>(classifier_.frame_samples));
    detector_.push(classifier_.is_speech(frame_));
  }
  detector_.finish(samples_);
  take_runs();
}

// A run may come in parts.
void SpeechMap::take_runs() {
  while (const auto run = detector_.next()) {
    const Stretch heard{run_start_ / kFrame, (run->end + kFrame - 1) / kFrame};
    run_start_ = run->end;
    if (!run->speech) continue;
    if (!speech_.empty() && speech_.back().end >= heard.start) {
      speech_.back().end = heard.end;
    } else {
      speech_.push_back(heard);
    }
  }
}

std::vector<Stretch> padded(const std::vector<Stretch>& speech, int64_t padding,
                            int64_t longest_pause, int64_t frames) {
  std::vector<Stretch> out;
  for (const Stretch& run : speech) {
    if (!out.empty() && run.start - (out.back().end - padding) < longest_pause) {
      out.back().end = run.end + padding;
    } else {
      const int64_t before = out.empty() ? 0 : out.back().end;
      out.push_back({std::max(before, run.start - padding), run.end + padding});
    }
  }
  for (Stretch& stretch : out) stretch.end = std::min(stretch.end, frames);
  std::erase_if(out, [](const Stretch& stretch) { return stretch.length() <= 0; });
  return out;
}

std::vector<Stretch> between(const std::vector<Stretch>& stretches, int64_t frames) {
  std::vector<Stretch> out;
  int64_t at = 0;
  for (const Stretch& stretch : stretches) {
    if (stretch.start > at) out.push_back({at, stretch.start});
    at = stretch.end;
  }
  if (frames > at) out.push_back({at, frames});
  return out;
}

std::vector<Stretch> uncovered(const std::vector<Stretch>& speech,
                               const std::vector<Segment>& segments, Stretch within,
                               int64_t shortest) {
  std::vector<Stretch> out;
  const auto keep = [&](Stretch part) {
    if (part.length() >= shortest) out.push_back(part);
  };
  for (const Stretch& run : speech) {
    Stretch left{std::max(run.start, within.start), std::min(run.end, within.end)};
    for (const Segment& segment : segments) {
      const int64_t start = std::lround(segment.start * 100);
      const int64_t end = std::lround(segment.end * 100);
      if (end <= left.start || start >= left.end) continue;
      keep({left.start, start});
      left.start = end;
    }
    keep(left);
  }
  return out;
}

}  // namespace parley::pipeline
