#include "parley/pipeline/stt/segments.h"

#include <gtest/gtest.h>

#include "parley/tests/golden/golden_model.h"

namespace parley::pipeline {
namespace {

// A tokenizer with timestamps; "a", "b" ... are single tokens of it.
struct SegmentWindow : testing::Test {
  test::GoldenModel golden{"multilingual-80"};
  text::Tokenizer tokenizer = golden.tokenizer();
  int32_t first = tokenizer.special().timestamp_begin;

  int32_t at(double seconds) const { return first + static_cast<int32_t>(seconds / 0.02 + 0.5); }
  int32_t letter(const char* text) const { return tokenizer.encode(text).at(0); }
  WindowSegments cut(std::vector<int32_t> tokens, double length = 30,
                     Unfinished unfinished = Unfinished::kDrop, bool looped = false) const {
    WindowSegments window = segment_window(tokenizer,
                                           {.tokens = std::move(tokens),
                                            .sum_logprob = -1,
                                            .avg_logprob = -0.5,
                                            .no_speech_prob = 0,
                                            .temperature = 0,
                                            .looped = looped},
                                           100, length, unfinished);
    drop_empty(window.segments);
    return window;
  }
};

TEST_F(SegmentWindow, PairsOfTimestampsCutSegments) {
  const auto window = cut({at(0), letter("a"), at(2), at(3), letter("b"), at(5.5)});
  ASSERT_EQ(window.segments.size(), 2u);
  EXPECT_EQ(window.segments[0].text, "a");
  EXPECT_NEAR(window.segments[0].start, 100, 1e-9);
  EXPECT_NEAR(window.segments[0].end, 102, 1e-9);
  EXPECT_NEAR(window.segments[1].start, 103, 1e-9);
  EXPECT_NEAR(window.segments[1].end, 105.5, 1e-9);
  EXPECT_EQ(window.advance, 30) << "a single timestamp at the end: no speech after it";
}

TEST_F(SegmentWindow, UnfinishedTextIsHeardAgainOrKept) {
  const std::vector<int32_t> tokens = {at(0), letter("a"), at(2), at(3), letter("b")};
  const auto dropped = cut(tokens);
  ASSERT_EQ(dropped.segments.size(), 1u);
  EXPECT_NEAR(dropped.advance, 2, 1e-9);
  const auto kept = cut(tokens, 20, Unfinished::kKeep);
  ASSERT_EQ(kept.segments.size(), 2u);
  EXPECT_EQ(kept.segments[1].text, "b");
  EXPECT_NEAR(kept.segments[1].start, 103, 1e-9);
  EXPECT_NEAR(kept.segments[1].end, 120, 1e-9);
}

TEST_F(SegmentWindow, OfALoopOneCopyIsKeptOrItIsHeardAgain) {
  std::vector<int32_t> tokens = {at(0), letter("a"), at(2), at(3), letter("b")};
  for (int i = 0; i < 20; ++i) tokens.insert(tokens.end(), {letter("c"), letter("d")});
  const auto dropped = cut(tokens, 30, Unfinished::kDrop, true);
  ASSERT_EQ(dropped.segments.size(), 1u);
  EXPECT_NEAR(dropped.advance, 2, 1e-9);
  const auto kept = cut(tokens, 30, Unfinished::kKeep, true);
  ASSERT_EQ(kept.segments.size(), 2u);
  EXPECT_EQ(kept.segments[1].text, "bcd");
  EXPECT_NEAR(kept.segments[1].end, 130, 1e-9);
}

TEST_F(SegmentWindow, WithoutPairsThereIsOneSegment) {
  const auto timed = cut({at(1), letter("a"), at(4)});
  ASSERT_EQ(timed.segments.size(), 1u);
  EXPECT_NEAR(timed.segments[0].start, 100, 1e-9);
  EXPECT_NEAR(timed.segments[0].end, 104, 1e-9);
  const auto plain = cut({letter("a"), letter("b")}, 7);
  ASSERT_EQ(plain.segments.size(), 1u);
  EXPECT_NEAR(plain.segments[0].end, 107, 1e-9);
}

TEST_F(SegmentWindow, NothingAndBlanksGiveNoSegments) {
  EXPECT_TRUE(cut({}).segments.empty());
  EXPECT_TRUE(cut({at(0)}).segments.empty());
  EXPECT_TRUE(cut({at(0), letter(" "), at(2)}).segments.empty());
}

TEST_F(SegmentWindow, ATextWithoutPairsBeginsWhereTheModelSays) {
  const auto told = cut({at(4), letter("a"), at(6)}, 30, Unfinished::kKeep);
  ASSERT_EQ(told.segments.size(), 1u);
  EXPECT_NEAR(told.segments[0].start, 104, 1e-9);
  EXPECT_NEAR(told.segments[0].end, 106, 1e-9);
  EXPECT_FALSE(told.open_end);
  // A time before the text is not its end.
  const auto open = cut({at(4), letter("a")}, 30, Unfinished::kKeep);
  ASSERT_EQ(open.segments.size(), 1u);
  EXPECT_NEAR(open.segments[0].start, 104, 1e-9);
  EXPECT_NEAR(open.segments[0].end, 130, 1e-9);
  EXPECT_TRUE(open.open_end);
  // As published: from the window's start.
  EXPECT_NEAR(cut({at(4), letter("a"), at(6)}).segments.at(0).start, 100, 1e-9);
  // A time that makes no sense loses no text.
  EXPECT_EQ(cut({at(6), letter("a"), at(5)}, 30, Unfinished::kKeep).segments.size(), 1u);
}

}  // namespace
}  // namespace parley::pipeline
