#include "parley/pipeline/stt/unheard.h"

#include <algorithm>
#include <cstdint>

#include "parley/dsp/audio_reader.h"

namespace parley::pipeline {

namespace {

using dsp::kSampleRate;
using dsp::Span;
using dsp::SpeechSpan;

constexpr int64_t kPadding = 2 * kSampleRate / 5;    // silence kept around speech
constexpr int64_t kMinPause = 3 * kSampleRate / 10;  // that is worth a cut
// Shorter uncovered speech is none: whole runs, and ends of runs whose beginning is covered (the
// model's times and the detector's differ by that much).
constexpr int64_t kMinRun = 3 * kSampleRate / 10;
constexpr int64_t kMinRest = 8 * kSampleRate / 10;

// A second of speech is 13 to 15 letters of English; other scripts take more bytes for fewer. Six
// recordings of ten minutes, tiny.en: 65 words of 8850 deleted at 10, 59 at 12, 49 at 13 and 14.
constexpr double kFewestBytes = 13;
constexpr double kShortest = 2;  // seconds of speech that are judged so

int64_t length(const Span& span) { return span.end - span.start; }

// What of [heard.start, heard.end) lies between the covered spans.
std::vector<Span> gaps(const Span& heard, std::vector<Span> covered) {
  std::sort(covered.begin(), covered.end(),
            [](const Span& a, const Span& b) { return a.start < b.start; });
  covered.push_back({heard.end, heard.end});
  std::vector<Span> between;
  int64_t from = heard.start;
  for (const Span& span : covered) {
    if (span.start > from) between.push_back({from, std::min(span.start, heard.end)});
    from = std::max(from, span.end);
  }
  return between;
}

bool counts(const Span& run, const Span& gap, const Span& heard) {
  const bool whole = run.start >= gap.start && run.end <= gap.end;
  const int64_t uncovered = std::min(run.end, gap.end) - std::max(run.start, gap.start);
  const bool cut_by_the_edge = gap.start == heard.start && gap.end == heard.end;
  return uncovered >= (whole || cut_by_the_edge ? kMinRun : kMinRest);
}

// The speech that counts, with silence around it; empty when there is none.
Span speech_of(const Span& gap, std::span<const SpeechSpan> speech, const Span& heard) {
  Span found{gap.end, gap.start};
  for (const auto& [run, peak] : speech) {
    if (!counts(run, gap, heard)) continue;
    found.start = std::min(found.start, std::max(run.start - kPadding, gap.start));
    found.end = std::max(found.end, std::min(run.end + kPadding, gap.end));
  }
  return found;
}

std::vector<Span> sides_of_longest_pause(const Span& span, std::span<const SpeechSpan> speech) {
  Span longest{};
  for (size_t i = 1; i < speech.size(); ++i) {
    const Span pause{speech[i - 1].span.end, speech[i].span.start};
    if (pause.start > span.start && pause.end < span.end && length(pause) > length(longest))
      longest = pause;
  }
  if (length(longest) < kMinPause) return {};
  const int64_t padding = std::min(kPadding, length(longest) / 2);
  return {{span.start, longest.start + padding}, {longest.end - padding, span.end}};
}

}  // namespace

std::vector<Span> unheard(const Span& heard, std::span<const SpeechSpan> speech,
                          std::vector<Span> covered) {
  std::vector<Span> again;
  for (const Span& gap : gaps(heard, std::move(covered))) {
    const Span found = speech_of(gap, speech, heard);
    if (length(found) <= 0) continue;
    if (gap == heard) return sides_of_longest_pause(found, speech);
    again.push_back(found);
  }
  return again;
}

bool is_too_short(const Segment& segment, std::span<const SpeechSpan> speech) {
  double spoken = 0;  // seconds
  for (const auto& [run, peak] : speech) {
    const double start = std::max(segment.start, static_cast<double>(run.start) / kSampleRate);
    const double end = std::min(segment.end, static_cast<double>(run.end) / kSampleRate);
    spoken += std::max(0.0, end - start);
  }
  return spoken >= kShortest && static_cast<double>(segment.text.size()) < kFewestBytes * spoken;
}

}  // namespace parley::pipeline
