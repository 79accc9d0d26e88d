#include "parley/pipeline/stt/segments.h"

#include <algorithm>

#include "parley/decoder/hotwords.h"
#include "parley/pipeline/stt/word_times.h"
#include "parley/text/scoring/compression_ratio.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kTimestampStep = 0.02;  // seconds

bool is_blank(const std::string& text) { return text::strip(text).empty(); }

}  // namespace

WindowSegments segment_window(const text::Tokenizer& tokenizer, const decoder::DecodeResult& result,
                              double start, double length, Unfinished unfinished) {
  const int32_t first = tokenizer.special().timestamp_begin;
  std::vector<int32_t> tokens = result.tokens;
  const auto is_timestamp = [&](size_t i) { return tokens[i] >= first; };
  const auto seconds = [&](int32_t token) {
    return static_cast<double>(token - first) * kTimestampStep;
  };
  const double compression_ratio = text::compression_ratio(text::strip(tokenizer.decode(tokens)));

  if (result.looped && unfinished == Unfinished::kKeep)
    tokens.resize(decoder::without_loop(tokens, first));
  const size_t count = tokens.size();
  const bool single_ending = count >= 2 && is_timestamp(count - 1) && !is_timestamp(count - 2);
  WindowSegments window{.segments = {}, .advance = length, .speech_ended = single_ending};
  const auto add = [&](double from, double to, size_t begin, size_t end) {
    const std::vector<int32_t> part(tokens.begin() + static_cast<int64_t>(begin),
                                    tokens.begin() + static_cast<int64_t>(end));
    window.segments.push_back({.id = 0,
                               .start = start + from,
                               .end = start + to,
                               .text = tokenizer.decode(part),
                               .tokens = part,
                               .avg_logprob = result.avg_logprob,
                               .compression_ratio = compression_ratio,
                               .no_speech_prob = result.no_speech_prob,
                               .temperature = result.temperature});
  };

  std::vector<size_t> cuts;
  for (size_t i = 1; i < count; ++i) {
    if (is_timestamp(i - 1) && is_timestamp(i)) cuts.push_back(i);
  }
  if (cuts.empty()) {
    // As published such a text begins with the window, whatever the model says, and a time that
    // it begins with may be taken for its end.
    const bool begins = unfinished == Unfinished::kKeep && count > 0 && is_timestamp(0);
    double end = length;
    window.open_end = true;
    for (size_t i = count; i-- > (begins ? 1u : 0u);) {
      if (!is_timestamp(i)) continue;
      window.open_end = tokens[i] == first;
      if (!window.open_end) end = seconds(tokens[i]);
      break;
    }
    const double begin = begins ? seconds(tokens[0]) : 0;
    add(begin < end ? begin : 0, end, 0, count);
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
    window.open_end = unfinished == Unfinished::kKeep && begin < count;
    if (window.open_end) add(seconds(tokens[begin]), length, begin, count);
  }
  return window;
}

void drop_empty(std::vector<Segment>& segments) {
  std::erase_if(segments, [](const Segment& segment) {
    return segment.end <= segment.start || is_blank(segment.text);
  });
}

void deliver(Segment segment, bool with_words, Transcript& transcript,
             const TranscribeEvents& events) {
  if (with_words) {
    const auto before = std::find_if(transcript.segments.rbegin(), transcript.segments.rend(),
                                     [](const Segment& s) { return !s.words.empty(); });
    if (before != transcript.segments.rend()) keep_in_order(segment, before->words.back().end);
  } else {
    segment.words.clear();
  }
  segment.id = static_cast<int64_t>(transcript.segments.size());
  transcript.text += segment.text;
  transcript.segments.push_back(std::move(segment));
  if (events.segment) events.segment(transcript.segments.back());
}

}  // namespace parley::pipeline
