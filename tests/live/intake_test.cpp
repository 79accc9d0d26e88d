#include <gtest/gtest.h>

#include <thread>

#include "pipeline/live_intake.h"

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

}  // namespace
}  // namespace parley::pipeline
