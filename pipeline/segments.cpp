#include "pipeline/segments.h"

#include <algorithm>

#include "text/compression_ratio.h"

namespace parley::pipeline {

namespace {

constexpr double kTimestampStep = 0.02;  // seconds

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

}  // namespace

WindowSegments segment_window(const text::Tokenizer& tokenizer, const decoder::DecodeResult& result,
                              double start, double length, Unfinished unfinished) {
  const int32_t first = tokenizer.special().timestamp_begin;
  const std::vector<int32_t>& tokens = result.tokens;
  const auto is_timestamp = [&](size_t i) { return tokens[i] >= first; };
  const auto seconds = [&](int32_t token) {
    return static_cast<double>(token - first) * kTimestampStep;
  };
  const double compression_ratio = text::compression_ratio(trimmed(tokenizer.decode(tokens)));

  WindowSegments window{.segments = {}, .advance = length};
  const auto add = [&](double from, double to, size_t begin, size_t end) {
    const std::vector<int32_t> part(tokens.begin() + static_cast<int64_t>(begin),
                                    tokens.begin() + static_cast<int64_t>(end));
    std::string text = tokenizer.decode(part);
    if (trimmed(text).empty() || to <= from) return;
    window.segments.push_back({.id = 0,
                               .start = start + from,
                               .end = start + to,
                               .text = std::move(text),
                               .tokens = part,
                               .avg_logprob = result.avg_logprob,
                               .compression_ratio = compression_ratio,
                               .no_speech_prob = result.no_speech_prob,
                               .temperature = result.temperature});
  };

  const size_t count = tokens.size();
  const bool single_ending = count >= 2 && is_timestamp(count - 1) && !is_timestamp(count - 2);
  std::vector<size_t> cuts;
  for (size_t i = 1; i < count; ++i) {
    if (is_timestamp(i - 1) && is_timestamp(i)) cuts.push_back(i);
  }
  if (cuts.empty()) {
    double end = length;
    for (size_t i = count; i-- > 0;) {
      if (!is_timestamp(i)) continue;
      if (tokens[i] != first) end = seconds(tokens[i]);
      break;
    }
    add(0, end, 0, count);
    return window;
  }
  const size_t last_pair = cuts.back();
  if (single_ending) cuts.push_back(count);
  size_t begin = 0;
  for (const size_t end : cuts) {
    add(seconds(tokens[begin]), seconds(tokens[end - 1]), begin, end);
    begin = end;
  }
  if (!single_ending) {
    window.advance = seconds(tokens[last_pair - 1]);
    if (unfinished == Unfinished::kKeep && begin < count)
      add(seconds(tokens[begin]), length, begin, count);
  }
  return window;
}

}  // namespace parley::pipeline
