#include "parley/pipeline/stt/word_times.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "parley/text/scoring/word_tokens.h"

namespace parley::pipeline {

namespace {

using decoder::AlignedWord;

constexpr double kLongestMedian = 0.7;  // seconds

double length_of(const AlignedWord& word) { return word.to - word.from; }
double length_of(const Word& word) { return word.end - word.start; }

double median_length(const std::vector<AlignedWord*>& words) {
  std::vector<double> lengths;
  for (const AlignedWord* word : words) {
    if (length_of(*word) != 0) lengths.push_back(length_of(*word));
  }
  if (lengths.empty()) return 0;
  std::sort(lengths.begin(), lengths.end());
  const size_t half = lengths.size() / 2;
  const double median =
      lengths.size() % 2 == 1 ? lengths[half] : (lengths[half - 1] + lengths[half]) / 2;
  return std::min(kLongestMedian, median);
}

bool ends_sentence(const AlignedWord& word) {
  constexpr std::string_view kMarks = ".。!！?？";
  return kMarks.find(word.text) != std::string_view::npos;
}

// The pause at the end of a sentence is not part of its full stop, nor of the word after it.
void shorten_at_sentence_ends(const std::vector<AlignedWord*>& words, double longest) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (length_of(*words[i]) <= longest) continue;
    if (ends_sentence(*words[i])) {
      words[i]->to = words[i]->from + longest;
    } else if (ends_sentence(*words[i - 1])) {
      words[i]->from = words[i]->to - longest;
    }
  }
}

// After a pause the first two words are not longer than twice the median.
void shorten_after_pause(std::vector<Word>& words, double median, double last_speech) {
  const double longest = 2 * median;
  Word& first = words[0];
  if (first.end - last_speech <= 4 * median) return;
  const bool long_pair = words.size() > 1 && words[1].end - first.start > 2 * longest;
  if (length_of(first) <= longest && !long_pair) return;
  if (words.size() > 1 && length_of(words[1]) > longest)
    first.end = words[1].start = std::max(words[1].end / 2, words[1].end - longest);
  first.start = std::max(0.0, first.end - longest);
}

// A segment begins and ends with its words, except where a word is so long that the segment's own
// time is the better one.
void fit(Segment& segment, double median) {
  Word& first = segment.words.front();
  Word& last = segment.words.back();
  if (segment.start < first.end && segment.start - 0.5 > first.start) {
    first.start = std::max(0.0, std::min(first.end - median, segment.start));
  } else {
    segment.start = first.start;
  }
  if (segment.end > last.start && segment.end + 0.5 < last.end) {
    last.end = std::max(last.start + median, segment.end);
  } else {
    segment.end = last.end;
  }
}

}  // namespace

std::vector<int32_t> text_tokens(const text::Tokenizer& tokenizer, const Segment& segment) {
  std::vector<int32_t> tokens = segment.tokens;
  std::erase_if(tokens, [&](int32_t id) { return tokenizer.bytes(id).empty(); });
  return tokens;
}

std::vector<Word> interpolated_words(const text::Tokenizer& tokenizer, const Segment& segment,
                                     const std::string& language) {
  const auto split =
      text::split_to_word_tokens(tokenizer, text_tokens(tokenizer, segment), language);
  double letters = 0;
  for (const auto& word : split) letters += static_cast<double>(word.text.size());
  std::vector<Word> words;
  double time = segment.start;
  for (const auto& word : split) {
    const double length =
        (segment.end - segment.start) * static_cast<double>(word.text.size()) / letters;
    words.push_back({.word = word.text,
                     .start = time,
                     .end = time + length,
                     .probability = 0,
                     .source = WordSource::kInterpolated,
                     .tokens = word.end - word.begin});
    time += length;
  }
  return words;
}

void keep_in_order(Segment& segment, double from) {
  segment.start = std::max(segment.start, from);
  for (Word& word : segment.words) {
    word.start = std::max(word.start, from);
    word.end = std::max(word.end, word.start);
    from = word.end;
  }
  segment.end = std::max({segment.end, segment.start, from});
}

void add_words(std::vector<Segment>& segments, const text::Tokenizer& tokenizer,
               std::vector<std::vector<AlignedWord>> aligned, const WordWindow& window) {
  std::vector<AlignedWord*> all;
  for (auto& words : aligned) {
    for (AlignedWord& word : words) all.push_back(&word);
  }
  const double median = median_length(all);
  if (median > 0) shorten_at_sentence_ends(all, 2 * median);

  double last_speech = window.last_speech;
  double in_order_from = window.start;
  for (size_t i = 0; i < segments.size(); ++i) {
    Segment& segment = segments[i];
    decoder::merge_punctuation(aligned[i]);
    for (AlignedWord& word : aligned[i]) {
      segment.words.push_back({.word = std::move(word.text),
                               .start = window.start + word.from,
                               .end = window.start + word.to,
                               .probability = word.probability,
                               .source = WordSource::kMeasured,
                               .tokens = word.end - word.begin});
    }
    if (segment.words.empty())
      segment.words = interpolated_words(tokenizer, segment, window.language);
    if (segment.words.empty()) continue;  // no text
    if (segment.words[0].source == WordSource::kMeasured) {
      shorten_after_pause(segment.words, median, last_speech);
      fit(segment, median);
    }
    for (Word& word : segment.words) {
      word.start = std::min(word.start, window.end);
      word.end = std::min(word.end, window.end);
    }
    segment.end = std::min(segment.end, window.end);
    keep_in_order(segment, in_order_from);
    in_order_from = last_speech = segment.end;
  }
}

}  // namespace parley::pipeline
