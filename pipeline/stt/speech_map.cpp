#include "parley/pipeline/stt/speech_map.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace parley::pipeline {

namespace {

constexpr int64_t kFrame = 160;  // samples

}  // namespace

std::vector<Stretch> stretches(const std::vector<dsp::SpeechSpan>& speech) {
  std::vector<Stretch> frames;
  for (const auto& [span, peak] : speech) {
    const Stretch heard{span.start / kFrame, (span.end + kFrame - 1) / kFrame};
    if (!frames.empty() && frames.back().end >= heard.start) {
      frames.back().end = heard.end;
    } else {
      frames.push_back(heard);
    }
  }
  return frames;
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
