#include "parley/core/nn/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace parley::nn {
namespace {

TEST(ThreadTeam, CallsEachIndexOnce) {
  ThreadTeam team(4);
  EXPECT_EQ(team.threads(), 4);
  for (int round = 0; round < 3000; ++round) {
    const int64_t count = round % 17;
    std::vector<int> calls(static_cast<size_t>(count));
    team.run(count, [&](int64_t index, int thread) {
      ASSERT_GE(thread, 0);
      ASSERT_LT(thread, 4);
      ++calls[static_cast<size_t>(index)];
    });
    ASSERT_EQ(calls, std::vector<int>(static_cast<size_t>(count), 1)) << round;
  }
}

TEST(ThreadTeam, WhatALoopWroteIsSeenAfterIt) {
  ThreadTeam team(3);
  std::vector<int64_t> values(1000);
  for (int64_t round = 1; round <= 200; ++round) {
    team.run(1000,
             [&](int64_t index, int) { values[static_cast<size_t>(index)] += index * round; });
  }
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], i * 200 * 201 / 2);
}

TEST(ThreadTeam, AnExceptionComesBackAndTheTeamGoesOn) {
  ThreadTeam team(3);
  std::atomic<int> calls = 0;
  EXPECT_THROW(team.run(100,
                        [&](int64_t index, int) {
                          ++calls;
                          if (index == 40) throw std::runtime_error("broken");
                        }),
               std::runtime_error);
  EXPECT_EQ(calls, 100);
  team.run(10, [&](int64_t, int) { ++calls; });
  EXPECT_EQ(calls, 110);
}

TEST(ThreadTeam, OneThreadNeedsNoWorkers) {
  ThreadTeam team(1);
  int64_t sum = 0;
  team.run(100, [&](int64_t index, int thread) {
    ASSERT_EQ(thread, 0);
    sum += index;
  });
  EXPECT_EQ(sum, 4950);
}

}  // namespace
}  // namespace parley::nn
