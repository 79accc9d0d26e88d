// The windows strategy with a perfect recognizer: minutes of known words, cut by the real planner
// at any phase, heard with jittered times and damage wherever a window cuts into speech, joined
// again. Nothing may be lost, doubled or damaged.
#include "parley/pipeline/stt/overlap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "parley/dsp/window_planner.h"
#include "parley/tests/golden/golden_model.h"

namespace parley::pipeline {
namespace {

struct Spoken {
  std::string text;  // with its leading space
  double start;
  double end;
};

struct Speech {
  double pause_every;  // words; 0: no pauses at all
  double longest_pause;
  int vocabulary;
};

std::vector<Spoken> speak(const Speech& kind, double phase, std::mt19937& random) {
  std::uniform_real_distribution<double> length(0.15, 0.6);
  std::uniform_real_distribution<double> pause(0.05, kind.longest_pause);
  std::uniform_int_distribution<int> word(0, kind.vocabulary - 1);
  std::bernoulli_distribution pauses(kind.pause_every > 0 ? 1 / kind.pause_every : 0);
  std::vector<Spoken> words;
  for (double time = phase; time < 150;) {
    const int number = word(random);
    const std::string text{' ', static_cast<char>('a' + number % 26),
                           static_cast<char>('a' + number / 26 % 26), 'o'};
    words.push_back({text, time, time + length(random)});
    time = words.back().end + (pauses(random) ? pause(random) : 0);
  }
  return words;
}

std::vector<dsp::Window> plan(const std::vector<Spoken>& words) {
  const auto samples = [](double seconds) { return std::llround(seconds * 16000); };
  dsp::WindowPlanner planner;
  for (const Spoken& word : words) {
    planner.advance(false, samples(word.start));
    planner.advance(true, samples(word.end));
  }
  planner.advance(false, samples(words.back().end + 1));
  planner.finish();
  std::vector<dsp::Window> windows;
  while (const auto window = planner.next_window()) windows.push_back(*window);
  return windows;
}

class Oracle {
 public:
  Oracle(const text::Tokenizer& tokenizer, bool with_words, std::mt19937& random)
      : tokenizer_(tokenizer), with_words_(with_words), random_(random) {}

  // Words wholly inside are heard as they are; those that the edges cut, or that are nearer to an
  // edge in an overlap than half a second, come out damaged, or not at all, or as something else.
  std::vector<Segment> hear(const std::vector<Spoken>& words, double start, double end,
                            bool damaged_start, bool damaged_end) {
    std::vector<Segment> segments;
    for (const Spoken& word : words) {
      if (word.end <= start || word.start >= end) continue;
      const bool edge =
          (damaged_start && word.start < start + 0.5) || (damaged_end && word.end > end - 0.5);
      std::string text = word.text;
      if (edge) {
        const int fate = static_cast<int>(random_() % 3);
        if (fate == 0) continue;
        text = fate == 1 ? word.text.substr(0, 3) : " uhm yes";
      }
      add(text, std::clamp(word.start + jitter(), start, end),
          std::clamp(word.end + jitter(), start, end), segments);
    }
    return segments;
  }

 private:
  double jitter() { return std::uniform_real_distribution<double>(-0.25, 0.25)(random_); }

  void add(const std::string& text, double start, double end, std::vector<Segment>& segments) {
    if (segments.empty() || random_() % 6 == 0) {
      segments.emplace_back();
      segments.back().start = segments.size() > 1 ? segments[segments.size() - 2].end : start;
      segments.back().tokens = {tokenizer_.special().timestamp_begin};
    }
    Segment& segment = segments.back();
    start = std::max(start, segment.start);
    end = std::max({start, end, segment.end});
    // " uhm yes" is two words with one time.
    for (size_t at = 0; at < text.size();) {
      const size_t space = std::min(text.find(' ', at + 1), text.size());
      const std::string word = text.substr(at, space - at);
      const std::vector<int32_t> tokens = tokenizer_.encode(word);
      segment.tokens.insert(segment.tokens.end(), tokens.begin(), tokens.end());
      segment.text += word;
      if (with_words_) {
        const double from = segment.words.empty() ? start : segment.words.back().end;
        segment.words.push_back({.word = word,
                                 .start = std::max(start, from),
                                 .end = std::max(end, from),
                                 .tokens = tokens.size()});
      }
      at = space;
    }
    segment.end = end;
  }

  const text::Tokenizer& tokenizer_;
  bool with_words_;
  std::mt19937& random_;
};

double seconds(int64_t samples) { return static_cast<double>(samples) / 16000; }

// What the windows strategy makes of the windows.
std::vector<Segment> joined(const text::Tokenizer& tokenizer, Oracle& oracle,
                            const std::vector<Spoken>& words,
                            const std::vector<dsp::Window>& windows) {
  std::vector<Segment> done;
  std::vector<Segment> open;
  for (size_t i = 0; i < windows.size(); ++i) {
    const double start = seconds(windows[i].start);
    const bool overlapped = i + 1 < windows.size() && windows[i + 1].overlaps_previous;
    std::vector<Segment> heard = oracle.hear(words, start, seconds(windows[i].end),
                                             windows[i].overlaps_previous, overlapped);
    if (windows[i].overlaps_previous)
      join_overlap(tokenizer, "en", start, seconds(windows[i - 1].end), open, heard);
    done.insert(done.end(), open.begin(), open.end());
    open = std::move(heard);
  }
  done.insert(done.end(), open.begin(), open.end());
  return done;
}

void expect_in_order(const std::vector<Segment>& segments, bool with_words) {
  for (const Segment& segment : segments) {
    EXPECT_LE(segment.start, segment.end);
    std::string text;
    double last = segment.words.empty() ? 0 : segment.words[0].start;
    for (const Word& word : segment.words) {
      EXPECT_GE(word.start, last);
      EXPECT_GE(word.end, word.start);
      last = word.end;
      text += word.word;
    }
    if (with_words) {
      EXPECT_EQ(text, segment.text);
    }
  }
}

class OverlapOracle : public testing::TestWithParam<bool> {};

TEST_P(OverlapOracle, TextIsExactlyRightAtAnyPhase) {
  const test::GoldenModel golden("english-128");
  const text::Tokenizer tokenizer = golden.tokenizer();
  const Speech kinds[] = {{.pause_every = 0, .longest_pause = 1, .vocabulary = 400},
                          {.pause_every = 0, .longest_pause = 1, .vocabulary = 40},
                          {.pause_every = 12, .longest_pause = 0.28, .vocabulary = 40},
                          {.pause_every = 25, .longest_pause = 2, .vocabulary = 40},
                          {.pause_every = 40, .longest_pause = 6, .vocabulary = 15}};
  size_t overlaps = 0;
  for (unsigned round = 0; round < 200; ++round) {
    for (const Speech& kind : kinds) {
      std::mt19937 random(round);
      const double phase = 0.5 * static_cast<double>(round);  // one whole window
      const std::vector<Spoken> words = speak(kind, phase, random);
      const std::vector<dsp::Window> windows = plan(words);
      for (const dsp::Window& window : windows) overlaps += window.overlaps_previous;
      Oracle oracle(tokenizer, GetParam(), random);
      const std::vector<Segment> segments = joined(tokenizer, oracle, words, windows);
      std::string truth;
      for (const Spoken& word : words) truth += word.text;
      std::string text;
      for (const Segment& segment : segments) text += segment.text;
      ASSERT_EQ(text, truth) << "round " << round << ", vocabulary " << kind.vocabulary;
      expect_in_order(segments, GetParam());
    }
  }
  EXPECT_GT(overlaps, 500u) << "the test is about overlaps";
}

INSTANTIATE_TEST_SUITE_P(Times, OverlapOracle, testing::Bool(),
                         [](const auto& info) { return info.param ? "measured" : "interpolated"; });

}  // namespace
}  // namespace parley::pipeline
