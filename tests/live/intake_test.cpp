#include <gtest/gtest.h>

#include <thread>

#include "parley/pipeline/live/live_intake.h"
#include "parley/pipeline/live/played_sound.h"

namespace parley::pipeline {
namespace {

using Kind = LiveIntake::Kind;

std::vector<float> ramp(int from, int count) {
  std::vector<float> samples;
  for (int i = 0; i < count; ++i) samples.push_back(static_cast<float>(from + i));
  return samples;
}

TEST(LiveIntake, DropsTheOldestAndSaysHowMuch) {
  LiveIntake intake(100, Overflow::kDropOldest);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(intake.push(ramp(30 * i, 30)));
  intake.close();
  const auto gap = intake.take();
  ASSERT_EQ(gap->kind, Kind::kDropped);
  EXPECT_EQ(gap->count, 210);
  int next = 210;
  while (const auto piece = intake.take()) {
    ASSERT_EQ(piece->kind, Kind::kSamples);
    EXPECT_EQ(piece->samples, ramp(next, 30));
    next += 30;
  }
  EXPECT_EQ(next, 300);
}

TEST(LiveIntake, GapsKeepTheirPlaceBetweenOtherPieces) {
  LiveIntake intake(50, Overflow::kDropOldest);
  intake.push(ramp(0, 40));
  intake.flush();
  intake.push(ramp(40, 40));
  intake.push_paused(7);
  intake.push_paused(8);
  intake.push(ramp(80, 120));  // more than fits
  intake.close();
  std::vector<std::pair<Kind, int64_t>> pieces;
  while (const auto piece = intake.take()) pieces.emplace_back(piece->kind, piece->count);
  EXPECT_EQ(pieces, (std::vector<std::pair<Kind, int64_t>>{{Kind::kDropped, 40},
                                                           {Kind::kFlush, 0},
                                                           {Kind::kDropped, 40},
                                                           {Kind::kPaused, 15},
                                                           {Kind::kDropped, 100},
                                                           {Kind::kSamples, 20}}));
}

TEST(LiveIntake, BlocksWithoutLoss) {
  LiveIntake intake(64, Overflow::kBlock);
  std::thread source([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(intake.push(ramp(100 * i, 100)));
    intake.close();
  });
  std::vector<float> heard;
  while (const auto piece = intake.take()) {
    ASSERT_LE(piece->samples.size(), 64u);
    heard.insert(heard.end(), piece->samples.begin(), piece->samples.end());
  }
  source.join();
  EXPECT_EQ(heard, ramp(0, 100000));
}

TEST(LiveIntake, AbortEndsBothSides) {
  LiveIntake intake(10, Overflow::kBlock);
  ASSERT_TRUE(intake.push(ramp(0, 10)));
  std::thread source([&] { EXPECT_FALSE(intake.push(ramp(10, 10))); });
  intake.abort();
  source.join();
  EXPECT_FALSE(intake.take());
  EXPECT_FALSE(intake.flush());
}

TEST(LiveIntake, KnowsWhereTheStreamIs) {
  LiveIntake intake(100, Overflow::kDropOldest);
  intake.push(ramp(0, 90));
  intake.push(ramp(0, 90));  // the first is dropped
  intake.push_missed(1000);
  intake.push_paused(7);
  intake.flush();
  while (intake.position() == 1187 && intake.take()->kind != Kind::kFlush) continue;
  EXPECT_EQ(intake.position(), 1187);
}

std::vector<float> taken(PlayedSound& sound, int64_t start, size_t count) {
  std::vector<float> out(count, -1);
  sound.take(start, out);
  return out;
}

TEST(PlayedSound, LiesWhereItWasPlayedBackToBack) {
  PlayedSound sound;
  sound.push(ramp(1, 3), 10);
  sound.push(ramp(4, 2), 11);  // after the first has been played
  sound.push(ramp(6, 1), 20);
  EXPECT_EQ(taken(sound, 8, 4), (std::vector<float>{0, 0, 1, 2}));
  EXPECT_EQ(taken(sound, 12, 9), (std::vector<float>{3, 4, 5, 0, 0, 0, 0, 0, 6}));
  EXPECT_EQ(taken(sound, 21, 2), (std::vector<float>{0, 0}));
}

TEST(PlayedSound, HoldsAMinuteAndForgetsTheOldest) {
  PlayedSound sound;
  for (int second = 0; second < 100; ++second)
    sound.push(std::vector<float>(16000, static_cast<float>(second)), 0);
  EXPECT_EQ(taken(sound, 39 * 16000 + 15999, 2), (std::vector<float>{0, 40}));
  EXPECT_EQ(taken(sound, 99 * 16000, 1), (std::vector<float>{99}));
}

}  // namespace
}  // namespace parley::pipeline
