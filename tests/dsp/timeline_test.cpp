// Times that a container tells: what is silence, what is there already, and what cannot be true.
#include "parley/dsp/timeline.h"

#include <gtest/gtest.h>

#include <utility>

namespace parley::dsp {
namespace {

constexpr int kRate = 48000;
constexpr int64_t kFrame = 960;

class TimelineTest : public testing::Test {
 protected:
  TimelineTest() { timeline_.set_rate(kRate); }

  // Frames of 20 ms, the first of them at `seconds`; what was inserted and cut in all.
  std::pair<int64_t, int64_t> play(double seconds, int frames, int64_t jitter = 0) {
    std::pair<int64_t, int64_t> sum;
    for (int i = 0; i < frames; ++i) {
      const int64_t time =
          static_cast<int64_t>(seconds * kRate) + i * kFrame + (i % 3 - 1) * jitter;
      const std::optional<int64_t> next =
          i + 1 < frames ? std::optional(time + kFrame) : std::nullopt;
      const Timeline::Place place = timeline_.place(time, kFrame, next);
      timeline_.advance(place.silence + kFrame - place.cut);
      sum.first += place.silence;
      sum.second += place.cut;
    }
    return sum;
  }
  static std::pair<int64_t, int64_t> nothing() { return {}; }

  Timeline timeline_;
};

TEST_F(TimelineTest, JitterOfMillisecondsIsNothing) {
  EXPECT_EQ(play(0, 5000, kRate / 1000), nothing());
  EXPECT_EQ(play(100, 50, 10 * kRate / 1000), nothing());
  EXPECT_TRUE(timeline_.notes().empty());
}

TEST_F(TimelineTest, TheFirstTimeIsSilenceOrPadding) {
  EXPECT_EQ(play(0.04, 50), nothing());
  Timeline late;
  late.set_rate(kRate);
  EXPECT_EQ(late.place(5 * kRate, kFrame, 5 * kRate + kFrame).silence, 5 * kRate);
}

TEST_F(TimelineTest, GapsAreSilenceOfTheirLengthAndOverlapsAreCut) {
  EXPECT_EQ(play(0, 400), nothing());
  EXPECT_EQ(play(18, 100), std::pair(int64_t{10 * kRate}, int64_t{0}));
  EXPECT_EQ(play(18.5, 200), std::pair(int64_t{0}, int64_t{3 * kRate / 2}));
  EXPECT_DOUBLE_EQ(timeline_.seconds(), 22.5);
  EXPECT_TRUE(timeline_.notes().empty());
}

TEST_F(TimelineTest, AClockThatIsALittleSlowIsFollowed) {
  for (int i = 0; i < 50000; ++i) {  // 1000 s of sound at times that take 1001 s
    const int64_t time = i * kFrame * 1001 / 1000;
    const Timeline::Place place = timeline_.place(time, kFrame, time + kFrame);
    timeline_.advance(place.silence + kFrame - place.cut);
  }
  EXPECT_NEAR(timeline_.seconds(), 1001, Timeline::kGap + 0.02);
}

TEST_F(TimelineTest, AClockThatStartsOverIsJoinedOn) {
  play(3, 400);
  EXPECT_EQ(play(3, 400), nothing());
  EXPECT_DOUBLE_EQ(timeline_.seconds(), 19);
  EXPECT_EQ(timeline_.notes().size(), 1u);
}

TEST_F(TimelineTest, WhatCannotBeTrueIsNotFollowed) {
  play(0, 400);
  EXPECT_EQ(play(3 * 86400, 50), nothing());  // days
  EXPECT_EQ(play(-5000, 50), nothing());
  EXPECT_EQ(timeline_.place(int64_t{1} << 58, kFrame, (int64_t{1} << 58) + kFrame).silence, 0);
  EXPECT_EQ(timeline_.notes().size(), 3u);
  EXPECT_LT(timeline_.seconds(), 11);
}

TEST_F(TimelineTest, SilenceAndNotesAreBounded) {
  double at = 0;
  for (int i = 0; i < 100; ++i) {
    play(at, 5);
    at += 10 * 3600;
  }
  EXPECT_LE(timeline_.seconds(), Timeline::kMostSilence + 100);
  EXPECT_LE(timeline_.notes().size(), 11u);
}

TEST_F(TimelineTest, ATimeThatItsNeighboursContradictIsIgnored) {
  play(0, 400);
  EXPECT_EQ(timeline_.place(3600 * int64_t{kRate}, kFrame, 8 * kRate + kFrame).silence, 0);
  timeline_.advance(kFrame);
  EXPECT_EQ(play(8.02, 100), nothing());
  EXPECT_EQ(timeline_.notes().size(), 1u);
}

TEST_F(TimelineTest, RatesMayChange) {
  play(0, 400);
  timeline_.set_rate(16000);
  EXPECT_EQ(timeline_.position(), 8 * 16000);
  EXPECT_EQ(timeline_.place(9 * 16000, 320, 9 * 16000 + 320).silence, 16000);
}

}  // namespace
}  // namespace parley::dsp
