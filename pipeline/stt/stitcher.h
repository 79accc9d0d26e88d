// Joins the transcripts of two windows that overlap.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace parley::pipeline {

struct TimedWord {
  std::string text;
  double start = 0;  // seconds in the file
  double end = 0;
  double middle() const { return (start + end) / 2; }
};

// Words [0, keep) of the earlier window and [from, ...) of the later one make the joined text.
struct Seam {
  size_t keep = 0;
  size_t from = 0;
};

// Seconds by which the times of one word may differ between two windows.
inline constexpr double kMeasuredTolerance = 1.0;
inline constexpr double kInterpolatedTolerance = 2.5;

// The words near the overlap [overlap_start, overlap_end) are aligned by text and time; the matched
// pair nearest its middle is the seam: the earlier window's word stays, the later one's goes.
// Without a match, words are cut at the middle by time.
Seam find_seam(std::span<const TimedWord> earlier, std::span<const TimedWord> later,
               double overlap_start, double overlap_end, double tolerance = kInterpolatedTolerance);

}  // namespace parley::pipeline
