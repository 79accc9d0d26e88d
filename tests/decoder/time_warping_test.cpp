#include "parley/decoder/time_warping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace parley::decoder {
namespace {

nn::Tensor view(std::vector<float>& values, const nn::Shape& shape) {
  return {values.data(), shape, nn::DType::kF32};
}

// The greatest sum over all paths from the first corner to (i, j).
double best(const nn::Tensor& m, int64_t i, int64_t j) {
  const double here = m.row(i)[j];
  if (i == 0 && j == 0) return here;
  double most = -1e9;
  if (i > 0) most = std::max(most, best(m, i - 1, j));
  if (j > 0) most = std::max(most, best(m, i, j - 1));
  if (i > 0 && j > 0) most = std::max(most, best(m, i - 1, j - 1));
  return here + most;
}

// The greatest sum of the paths that come to each token at the given positions.
double sum_along(const nn::Tensor& m, const std::vector<int64_t>& first) {
  const int64_t tokens = m.shape[0];
  const int64_t positions = m.shape[1];
  double sum = 0;
  for (int64_t i = 0; i < tokens; ++i) {
    const int64_t begin = first[static_cast<size_t>(i)];
    // A token is left at the position at which the next one is come to, or at the one before it.
    const int64_t end = i + 1 < tokens ? first[static_cast<size_t>(i) + 1] : positions - 1;
    for (int64_t t = begin; t < std::max(end, begin + 1); ++t) sum += m.row(i)[t];
    if (end > begin && (i + 1 == tokens || m.row(i)[end] > 0)) sum += m.row(i)[end];
  }
  return sum;
}

TEST(TimeWarping, FindsTheBestOfAllPaths) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 300; ++round) {
    const auto tokens = static_cast<int64_t>(1 + random() % 4);
    const auto positions = static_cast<int64_t>(1 + random() % 6);
    std::vector<float> values(static_cast<size_t>(tokens * positions));
    for (float& value : values) value = normal(random);
    const nn::Tensor m = view(values, {tokens, positions});
    const std::vector<int64_t> first = first_positions(m);
    ASSERT_EQ(first.size(), static_cast<size_t>(tokens));
    EXPECT_EQ(first[0], 0);
    EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
    EXPECT_NEAR(sum_along(m, first), best(m, tokens - 1, positions - 1), 1e-4);
  }
}

TEST(TimeWarping, FollowsADiagonal) {
  std::vector<float> values(3 * 9, -1.f);
  for (int token = 0; token < 3; ++token)
    std::fill_n(values.begin() + token * 9 + token * 3, 3, 1.f);
  EXPECT_EQ(first_positions(view(values, {3, 9})), (std::vector<int64_t>{0, 3, 6}));
}

// Against the definition: sorted windows, reflected ends, standard scores over the tokens.
TEST(TimeWarping, StandardizesAndSmoothsByDefinition) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(0, 1);
  nn::Context ctx({.threads = 2});
  for (const int64_t positions : {1, 3, 4, 7, 16, 50, 101}) {
    const int64_t heads = 3;
    const int64_t tokens = 5;
    std::vector<float> values(static_cast<size_t>(heads * tokens * positions));
    for (float& value : values) value = uniform(random);
    std::vector<double> expected(static_cast<size_t>(tokens * positions), 0.0);
    for (int64_t h = 0; h < heads; ++h) {
      const auto at = [&](int64_t i, int64_t t) {
        return values[static_cast<size_t>((h * tokens + i) * positions + t)];
      };
      const auto score = [&](int64_t i, int64_t t) {
        double mean = 0;
        double variance = 0;
        for (int64_t k = 0; k < tokens; ++k) mean += at(k, t) / static_cast<double>(tokens);
        for (int64_t k = 0; k < tokens; ++k)
          variance += (at(k, t) - mean) * (at(k, t) - mean) / static_cast<double>(tokens);
        return (at(i, t) - mean) / std::sqrt(variance);
      };
      for (int64_t i = 0; i < tokens; ++i) {
        for (int64_t t = 0; t < positions; ++t) {
          std::vector<double> window;
          for (int64_t k = t - 3; k <= t + 3; ++k) {
            const int64_t inside = k < 0 ? -k : k >= positions ? 2 * positions - 2 - k : k;
            window.push_back(positions > 3 ? score(i, inside) : score(i, t));
          }
          std::sort(window.begin(), window.end());
          expected[static_cast<size_t>(i * positions + t)] += window[3];
        }
      }
    }
    std::vector<float> sum(expected.size(), 0.f);
    add_standardized(ctx, view(values, {heads, tokens, positions}), view(sum, {tokens, positions}));
    for (size_t i = 0; i < sum.size(); ++i) ASSERT_NEAR(sum[i], expected[i], 1e-4) << positions;
  }
}

TEST(TimeWarping, PositionsThatAllTokensHearAlikeSayNothing) {
  std::vector<float> values(2 * 3 * 8, 0.125f);
  std::vector<float> sum(3 * 8, 0.f);
  nn::Context ctx({.threads = 1});
  add_standardized(ctx, view(values, {2, 3, 8}), view(sum, {3, 8}));
  EXPECT_EQ(sum, std::vector<float>(3 * 8, 0.f));
}

}  // namespace
}  // namespace parley::decoder
