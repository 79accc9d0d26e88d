#include "parley/pipeline/live/played_sound.h"

#include <algorithm>

#include "parley/dsp/audio_reader.h"

namespace parley::pipeline {

namespace {
constexpr int64_t kMaxWaiting = 60 * dsp::kSampleRate;
}

void PlayedSound::push(std::span<const float> samples, int64_t now) {
  if (samples.empty()) return;
  runs_.push_back({std::max(now, end_), {samples.begin(), samples.end()}});
  end_ = runs_.back().end();
  waiting_ += static_cast<int64_t>(samples.size());
  while (waiting_ > kMaxWaiting) {
    waiting_ -= static_cast<int64_t>(runs_.front().samples.size());
    runs_.pop_front();
  }
}

void PlayedSound::take(int64_t start, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.f);
  const int64_t end = start + static_cast<int64_t>(out.size());
  for (const Run& run : runs_) {
    const int64_t from = std::max(start, run.start);
    const int64_t to = std::min(end, run.end());
    if (from < to)
      std::copy_n(run.samples.begin() + (from - run.start), to - from,
                  out.begin() + (from - start));
  }
  while (!runs_.empty() && runs_.front().end() <= end) {
    waiting_ -= static_cast<int64_t>(runs_.front().samples.size());
    runs_.pop_front();
  }
}

}  // namespace parley::pipeline
