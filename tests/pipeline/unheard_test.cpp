// Speech that no text covers is heard again, with a recognizer that ends its text early, leaves
// gaps, or hears nothing.
#include "parley/pipeline/stt/unheard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "parley/pipeline/stt/windowed_transcript.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using dsp::Span;
using dsp::SpeechSpan;

constexpr int64_t kSecond = dsp::kSampleRate;

Span span(double start, double end) {
  return {std::llround(start * kSecond), std::llround(end * kSecond)};
}
SpeechSpan speech(double start, double end) { return {span(start, end), 1}; }

TEST(Unheard, WhatIsCoveredIsNot) {
  const std::vector<SpeechSpan> found = {speech(1, 4), speech(5, 9)};
  EXPECT_TRUE(unheard(span(0, 10), found, {span(1, 4), span(5, 9)}).empty());
  // The model's times and the detector's differ a little.
  EXPECT_TRUE(unheard(span(0, 10), found, {span(1.3, 3.5), span(5.5, 8.5)}).empty());
  EXPECT_TRUE(unheard(span(0, 10), {}, {}).empty());
}

TEST(Unheard, ATextThatEndsEarlyGoesOnFromThere) {
  const std::vector<SpeechSpan> found = {speech(1, 4), speech(5, 9)};
  // Within a run: from the text's end; between two: with silence before.
  EXPECT_EQ(unheard(span(0, 10), found, {span(1, 4), span(5, 6)}),
            (std::vector<Span>{span(6, 9.4)}));
  EXPECT_EQ(unheard(span(0, 10), found, {span(1, 4)}), (std::vector<Span>{span(4.6, 9.4)}));
}

TEST(Unheard, GapsAndBeginningsAreHeardByThemselves) {
  const std::vector<SpeechSpan> found = {speech(1, 2), speech(3, 4), speech(6, 9), speech(12, 14)};
  EXPECT_EQ(unheard(span(0, 15), found, {span(3, 4), span(6, 9)}),
            (std::vector<Span>{span(0.6, 2.4), span(11.6, 14.4)}));
}

TEST(Unheard, AWindowWithoutTextIsHeardInHalves) {
  EXPECT_EQ(unheard(span(0, 10), std::vector{speech(1, 4), speech(4.5, 5), speech(7, 9)}, {}),
            (std::vector<Span>{span(0.6, 5.4), span(6.6, 9.4)}));
  // The same once more would give the same.
  EXPECT_TRUE(unheard(span(0, 10), std::vector{speech(1, 9)}, {}).empty());
}

struct SpokenWord {
  std::string text;  // with its leading space
  Span span;
};

// A recognizer that knows every word, and how often it does not tell. Times are multiples of 0.02
// s, as a model's are.
struct Oracle {
  const text::Tokenizer& tokenizer;
  const std::vector<SpokenWord>& words;
  std::mt19937& random;
  double ends_early;
  double leaves_gap;
  double hears_nothing;

  bool happens(double probability) { return std::bernoulli_distribution(probability)(random); }

  void add_time(std::vector<int32_t>& tokens, const Span& heard, int64_t sample) const {
    tokens.push_back(
        tokenizer.special().timestamp_begin +
        static_cast<int32_t>(std::lround(static_cast<double>(sample - heard.start) / 320)));
  }

  decoder::DecodeResult hear(const Span& heard) {
    decoder::DecodeResult result;
    result.avg_logprob = -0.2;
    if (happens(hears_nothing)) {
      if (happens(0.5)) result.avg_logprob = -1.5, result.no_speech_prob = 0.9f;
      return result;
    }
    size_t gap = 0;
    for (const SpokenWord& word : words) {
      if (word.span.start < heard.start || word.span.end > heard.end) continue;
      if (happens(ends_early)) break;
      if (happens(leaves_gap)) gap = 1 + random() % 3;
      if (gap > 0) {
        --gap;
        continue;
      }
      add_time(result.tokens, heard, word.span.start);
      for (const int32_t token : tokenizer.encode(word.text)) result.tokens.push_back(token);
      add_time(result.tokens, heard, word.span.end);
    }
    return result;
  }
};

// Words with pauses between, each a run of speech of its own.
std::vector<SpokenWord> speak(std::mt19937& random, const std::string& vocabulary) {
  std::vector<SpokenWord> words;
  const auto steps = [&](int low, int high) {  // of 0.02 s
    return std::uniform_int_distribution(low, high)(random) * kSecond / 50;
  };
  for (int64_t time = steps(0, 100); time < 100 * kSecond;) {
    const int64_t end = time + steps(20, 45);
    words.push_back({std::string(" ") + vocabulary[random() % vocabulary.size()], {time, end}});
    time = end + (random() % 12 == 0 ? steps(40, 260) : steps(12, 30));
  }
  return words;
}

struct Source {
  std::vector<dsp::Window> windows;
  std::vector<SpeechSpan> speech;
};

Source plan(const std::vector<SpokenWord>& words) {
  Source source;
  dsp::WindowPlanner planner;
  for (const SpokenWord& word : words) {
    planner.advance(false, word.span.start);
    planner.advance(true, word.span.end);
    source.speech.push_back({word.span, 1});
  }
  planner.advance(false, words.back().span.end + kSecond);
  planner.finish();
  while (const auto window = planner.next_window()) source.windows.push_back(*window);
  return source;
}

SourceWindow cut(const Source& source, const dsp::Window& window) {
  SourceWindow out;
  out.window = window;
  out.samples.resize(static_cast<size_t>(window.end - window.start));
  for (const SpeechSpan& each : source.speech) {
    const Span part{std::max(each.span.start, window.start), std::min(each.span.end, window.end)};
    if (part.start < part.end) out.speech.push_back({part, 1});
  }
  return out;
}

struct UnheardOracle : test::RandomModel {};

TEST_F(UnheardOracle, EveryWordIsTextOrReported) {
  const auto model = load("english-128");
  const TranscribeOptions options{.temperatures = {0}};
  const TranscribeEvents events;
  const auto engine = start_speech_engine(model, start_engine(1));
  Listener listener(*engine, Urgency::kFile, {});
  int64_t said = 0;
  int64_t reported = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const std::vector<SpokenWord> words = speak(random, "abcdefghijklmnop");
    const Source source = plan(words);
    Oracle oracle{
        model->tokenizer,         words, random, 0.03 * (seed % 4), seed % 3 == 0 ? 0.05 : 0.0,
        seed % 5 == 0 ? 0.3 : 0.0};
    WindowedTranscript transcript(*model, options, events, DecodePolicy(*model, options));
    std::vector<std::pair<int64_t, Span>> parts;
    for (const dsp::Window& window : source.windows) {
      transcript.add(listener, cut(source, window), nullptr);
      for (const int64_t part : transcript.take_ready())
        parts.emplace_back(part, Span{window.start, window.end});
    }
    int64_t heard = 0;
    while (!parts.empty()) {  // finished in any order
      std::swap(parts.back(), parts[random() % parts.size()]);
      const auto [part, where] = parts.back();
      parts.pop_back();
      ASSERT_TRUE(transcript.take(listener, part, oracle.hear(where)));
      while (const auto again = transcript.next_again())
        parts.emplace_back(again->part, again->span);
      transcript.settle();
      ASSERT_LE(++heard, std::ssize(source.windows) * 9);
    }
    ASSERT_TRUE(transcript.settled());
    const Transcript done = transcript.finish({});

    // All words, in order, but for those in what was rejected.
    const auto is_reported = [&](const SpokenWord& word) {
      return std::any_of(done.rejected.begin(), done.rejected.end(), [&](const Rejected& each) {
        return each.start * kSecond <= word.span.start + 1 &&
               each.end * kSecond >= word.span.end - 1;
      });
    };
    std::string expected;
    for (const SpokenWord& word : words) {
      ++said;
      if (is_reported(word)) {
        ++reported;
      } else {
        expected += word.text;
      }
    }
    EXPECT_EQ(done.text, expected) << seed;
    for (const Rejected& each : done.rejected)
      EXPECT_TRUE(each.reason == "unheard" || each.reason == "no_speech") << each.reason;
  }
  EXPECT_LT(reported, said / 10);
}

}  // namespace
}  // namespace parley::pipeline
