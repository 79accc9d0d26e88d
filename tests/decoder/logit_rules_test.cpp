#include "parley/decoder/logit_rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace parley::decoder {
namespace {

// A vocabulary of 10 words, eot 10, sot 11, notimestamps 12, and timestamps from 13 on.
constexpr int32_t kEot = 10;
constexpr int32_t kFirst = 13;
constexpr int32_t kSize = kFirst + 100;

LogitRules rules() {
  return {.eot = kEot,
          .no_timestamps = 12,
          .timestamp_begin = kFirst,
          .suppressed = {3, 11},
          .suppressed_at_begin = {0, kEot}};
}

std::vector<int32_t> allowed(const LogitRules& rules, const std::vector<int32_t>& sampled,
                             float timestamp_logit = -5.f) {
  std::vector<float> logits(kSize, 1.f);
  std::fill(logits.begin() + kFirst, logits.end(), timestamp_logit);
  rules.apply(logits, sampled);
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < kSize; ++i) {
    if (std::isfinite(logits[static_cast<size_t>(i)])) tokens.push_back(i);
  }
  return tokens;
}

bool has(const std::vector<int32_t>& tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

TEST(LogitRules, BeginWithATimestampOfTheFirstSecond) {
  const auto tokens = allowed(rules(), {});
  EXPECT_EQ(tokens.front(), kFirst);
  EXPECT_EQ(tokens.back(), kFirst + 50);
  LogitRules anywhere = rules();
  anywhere.max_initial_timestamp_index = -1;
  EXPECT_EQ(allowed(anywhere, {}).back(), kSize - 1);
}

TEST(LogitRules, NeverSampleSuppressedTokens) {
  const auto tokens = allowed(rules(), {kFirst, 1});
  EXPECT_FALSE(has(tokens, 3));
  EXPECT_FALSE(has(tokens, 11));
  EXPECT_FALSE(has(tokens, 12)) << "notimestamps";
  EXPECT_TRUE(has(tokens, kEot));
  EXPECT_TRUE(has(tokens, 0));
}

TEST(LogitRules, TextFollowsAStartAndAPairOfTimestamps) {
  EXPECT_FALSE(has(allowed(rules(), {kFirst}), kFirst + 5));
  EXPECT_TRUE(has(allowed(rules(), {kFirst}), 1));
  EXPECT_FALSE(has(allowed(rules(), {kFirst, 1, kFirst + 5, kFirst + 5}), kFirst + 7));
}

TEST(LogitRules, AnEndIsFollowedByAStartOrTheEndOfText) {
  const auto tokens = allowed(rules(), {kFirst, 1, kFirst + 5});
  EXPECT_FALSE(has(tokens, 1));
  EXPECT_TRUE(has(tokens, kEot));
  EXPECT_TRUE(has(tokens, kFirst + 5)) << "the next segment may start where this one ends";
  EXPECT_FALSE(has(tokens, kFirst + 4));
}

TEST(LogitRules, TimeMovesForwardInsideASegment) {
  const auto tokens = allowed(rules(), {kFirst + 5, 1});
  EXPECT_FALSE(has(tokens, kFirst + 5)) << "a segment of no length";
  EXPECT_TRUE(has(tokens, kFirst + 6));
}

TEST(LogitRules, LikelyTimestampsForbidText) {
  // 100 timestamps of logit -2 together outweigh a text token of logit 1.
  const auto tokens = allowed(rules(), {kFirst, 1}, -2.f);
  EXPECT_FALSE(has(tokens, 1));
  EXPECT_TRUE(has(tokens, kFirst + 9));
  EXPECT_TRUE(has(allowed(rules(), {kFirst, 1}, -4.f), 1));
}

TEST(LogitRules, WithoutTimestampsOnlySuppressionApplies) {
  LogitRules plain = rules();
  plain.timestamps = false;
  EXPECT_FALSE(has(allowed(plain, {}), 0));
  EXPECT_FALSE(has(allowed(plain, {}), kEot));
  EXPECT_TRUE(has(allowed(plain, {1}), 0));
  EXPECT_TRUE(has(allowed(plain, {1}), kEot));
}

}  // namespace
}  // namespace parley::decoder
