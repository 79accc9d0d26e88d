#include "parley/pipeline/stt/overlap.h"

#include <algorithm>
#include <cstdint>

#include "parley/pipeline/stt/stitcher.h"
#include "parley/pipeline/stt/word_times.h"

namespace parley::pipeline {

namespace {

struct SegmentWord {
  Word word;
  size_t segment;
  size_t first_token;  // within the segment's tokens of text
};

std::vector<SegmentWord> words_of(const text::Tokenizer& tokenizer, const std::string& language,
                                  const std::vector<Segment>& segments) {
  std::vector<SegmentWord> words;
  for (size_t i = 0; i < segments.size(); ++i) {
    size_t token = 0;
    for (Word& word : segments[i].words.empty()
                          ? interpolated_words(tokenizer, segments[i], language)
                          : std::vector<Word>(segments[i].words)) {
      const size_t tokens = word.tokens;
      words.push_back({std::move(word), i, token});
      token += tokens;
    }
  }
  return words;
}

std::vector<TimedWord> times_of(const std::vector<SegmentWord>& words) {
  std::vector<TimedWord> timed;
  for (const auto& [word, segment, token] : words)
    timed.push_back({word.word, word.start, word.end});
  return timed;
}

bool measured(const std::vector<SegmentWord>& words) {
  return std::all_of(words.begin(), words.end(), [](const SegmentWord& each) {
    return each.word.source == WordSource::kMeasured;
  });
}

// The segments cut down to words [begin, end).
std::vector<Segment> cut(const text::Tokenizer& tokenizer, const std::vector<Segment>& segments,
                         const std::vector<SegmentWord>& words, size_t begin, size_t end) {
  std::vector<Segment> kept;
  for (size_t i = begin; i < end;) {
    const size_t segment = words[i].segment;
    size_t stop = i;
    while (stop < end && words[stop].segment == segment) ++stop;
    const bool starts = i == 0 || words[i - 1].segment != segment;
    const bool ends = stop == words.size() || words[stop].segment != segment;
    Segment part = segments[segment];
    if (!starts || !ends) {
      const std::vector<int32_t> tokens = text_tokens(tokenizer, part);
      const SegmentWord& last = words[stop - 1];
      part.tokens.assign(
          tokens.begin() + static_cast<int64_t>(words[i].first_token),
          tokens.begin() + static_cast<int64_t>(last.first_token + last.word.tokens));
      part.text = tokenizer.decode(part.tokens);
      if (!part.words.empty()) {
        part.words.clear();
        for (size_t k = i; k < stop; ++k) part.words.push_back(words[k].word);
      }
      if (!starts) part.start = words[i].word.start;
      if (!ends) part.end = last.word.end;
    }
    kept.push_back(std::move(part));
    i = stop;
  }
  return kept;
}

}  // namespace

void join_overlap(const text::Tokenizer& tokenizer, const std::string& language, double start,
                  double end, std::vector<Segment>& earlier, std::vector<Segment>& later) {
  const std::vector<SegmentWord> left = words_of(tokenizer, language, earlier);
  const std::vector<SegmentWord> right = words_of(tokenizer, language, later);
  const double tolerance =
      measured(left) && measured(right) ? kMeasuredTolerance : kInterpolatedTolerance;
  const Seam seam = find_seam(times_of(left), times_of(right), start, end, tolerance);
  earlier = cut(tokenizer, earlier, left, 0, seam.keep);
  later = cut(tokenizer, later, right, seam.from, right.size());
  if (!earlier.empty() && !later.empty())
    keep_in_order(later.front(), std::min(earlier.back().end, later.front().end));
}

}  // namespace parley::pipeline
