#include "parley/pipeline/stt/hallucinations.h"

#include <algorithm>
#include <string_view>

namespace parley::pipeline {

namespace {

constexpr std::string_view kPunctuation = "\"'“¿([{-\"'.。,，!！?？:：”)]}、";
constexpr int kWordsJudged = 8;
constexpr double kEdge = 2.0;  // seconds from a window's edge that count as silence

double anomaly(const Word& word) {
  const double length = word.end - word.start;
  double score = word.probability < 0.15f ? 1 : 0;
  if (length < 0.133) score += (0.133 - length) * 15;
  if (length > 2) score += length - 2;
  return score;
}

auto next_with_words(const std::vector<Segment>& segments, size_t from) {
  return std::find_if(segments.begin() + static_cast<std::ptrdiff_t>(from), segments.end(),
                      [](const Segment& segment) { return !segment.words.empty(); });
}

}  // namespace

bool is_anomalous(const Segment& segment) {
  double score = 0;
  int words = 0;
  for (const Word& word : segment.words) {
    if (words == kWordsJudged) break;
    if (kPunctuation.find(word.word) != std::string_view::npos) continue;
    score += anomaly(word);
    ++words;
  }
  return !segment.words.empty() && (score >= 3 || score + 0.01 >= words);
}

size_t find_hallucination(const std::vector<Segment>& segments, size_t from,
                          const HeardWindow& window, double threshold) {
  double last_end = window.last_speech;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    if (segment.words.empty()) continue;
    if (i >= from && is_anomalous(segment)) {
      const auto next = next_with_words(segments, i + 1);
      const double next_start = next != segments.end() ? next->words[0].start : window.end;
      const bool silence_before = segment.start - last_end > threshold ||
                                  segment.start < threshold || segment.start - window.start < kEdge;
      const bool silence_after = next_start - segment.end > threshold ||
                                 (next != segments.end() && is_anomalous(*next)) ||
                                 window.full_end - segment.end < kEdge;
      if (silence_before && silence_after) return i;
    }
    last_end = segment.end;
  }
  return segments.size();
}

std::optional<double> leading_silence_end(const std::vector<Segment>& segments,
                                          const HeardWindow& window, double threshold) {
  const auto first = next_with_words(segments, 0);
  if (first == segments.end() || !is_anomalous(*first)) return std::nullopt;
  if (first->start - window.start <= threshold) return std::nullopt;
  return first->start;
}

}  // namespace parley::pipeline
