#include "parley/decoder/time_warping.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace parley::decoder {

namespace {

constexpr int64_t kMedianWidth = 7;
constexpr int64_t kReach = kMedianWidth / 2;

// tokens: [count, positions], every column to mean 0 and deviation 1. A column without deviation
// says nothing: 0.
void standardize_columns(float* tokens, int64_t count, int64_t positions) {
  std::vector<double> mean(static_cast<size_t>(positions));
  std::vector<double> variance(static_cast<size_t>(positions));
  const auto size = static_cast<double>(count);
  const auto for_all = [&](const auto& body) {
    for (int64_t i = 0; i < count; ++i) {
      float* row = tokens + i * positions;
      for (int64_t t = 0; t < positions; ++t) body(row[t], static_cast<size_t>(t));
    }
  };
  for_all([&](float x, size_t t) { mean[t] += x / size; });
  for_all([&](float x, size_t t) { variance[t] += (x - mean[t]) * (x - mean[t]) / size; });
  for (double& v : variance) v = v > 0 ? 1 / std::sqrt(v) : 0;
  for_all([&](float& x, size_t t) { x = static_cast<float>((x - mean[t]) * variance[t]); });
}

// The median of seven, elementwise over arrays, by 13 exchanges (Devillard 1998). Loops over
// min and max of whole arrays are what compilers make vectors of.
constexpr size_t kLanes = 16;
using Lanes = std::array<float, kLanes>;

void exchange(Lanes& low, Lanes& high) {
  for (size_t i = 0; i < kLanes; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = a < b ? a : b;
    high[i] = a < b ? b : a;
  }
}

const Lanes& median(std::array<Lanes, kMedianWidth>& v) {
  constexpr std::array<std::array<int, 2>, 13> kExchanges = {{{0, 5},
                                                              {0, 3},
                                                              {1, 6},
                                                              {2, 4},
                                                              {0, 1},
                                                              {3, 5},
                                                              {2, 6},
                                                              {2, 3},
                                                              {3, 6},
                                                              {4, 5},
                                                              {1, 4},
                                                              {1, 3},
                                                              {3, 4}}};
  for (const auto& [low, high] : kExchanges)
    exchange(v[static_cast<size_t>(low)], v[static_cast<size_t>(high)]);
  return v[kReach];
}

// out[t] += median(row[t - 3 .. t + 3]). padded: scratch of positions + 2 * kReach + kLanes.
void add_smoothed(const float* row, int64_t positions, std::span<float> padded, float* out) {
  if (positions <= kReach) {  // too short to reflect
    for (int64_t t = 0; t < positions; ++t) out[t] += row[t];
    return;
  }
  float* middle = padded.data() + kReach;
  std::copy_n(row, positions, middle);
  for (int64_t i = 1; i <= kReach; ++i) {
    middle[-i] = row[i];
    middle[positions - 1 + i] = row[positions - 1 - i];
  }
  std::array<Lanes, kMedianWidth> window;
  for (int64_t t = 0; t < positions; t += static_cast<int64_t>(kLanes)) {
    for (int64_t k = 0; k < kMedianWidth; ++k)
      std::copy_n(padded.data() + t + k, kLanes, window[static_cast<size_t>(k)].begin());
    const Lanes& smooth = median(window);
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(kLanes), positions - t);
    for (int64_t i = 0; i < count; ++i) out[t + i] += smooth[static_cast<size_t>(i)];
  }
}

}  // namespace

void add_standardized(nn::Context& ctx, const nn::Tensor& attention, const nn::Tensor& sum) {
  const int64_t heads = attention.shape[0];
  const int64_t tokens = attention.shape[1];
  const int64_t positions = attention.shape[2];
  ctx.parallel(heads, [&](int64_t head, int) {
    standardize_columns(attention.row(head * tokens), tokens, positions);
  });
  const nn::Scope scope(ctx);
  const int64_t padded = positions + 2 * kReach + static_cast<int64_t>(kLanes);
  const nn::Tensor scratch = ctx.allocate({ctx.threads(), padded});
  std::fill_n(scratch.f32(), scratch.shape.elements(), 0.f);
  ctx.parallel(tokens, [&](int64_t token, int thread) {
    const std::span row(scratch.row(thread), static_cast<size_t>(padded));
    for (int64_t head = 0; head < heads; ++head)
      add_smoothed(attention.row(head * tokens + token), positions, row, sum.row(token));
  });
}

std::vector<int64_t> first_positions(const nn::Tensor& similarity) {
  enum Move : uint8_t { kBoth, kToken, kPosition };
  const auto tokens = static_cast<size_t>(similarity.shape[0]);
  const auto positions = static_cast<size_t>(similarity.shape[1]);
  constexpr float kUnreachable = std::numeric_limits<float>::infinity();
  // Costs are kept as f32 and compared so, as the reference does.
  std::vector<float> before(positions + 1, kUnreachable);  // of the token before
  std::vector<float> cost(positions + 1, kUnreachable);
  std::vector<Move> moves(tokens * positions);
  before[0] = 0;
  for (size_t i = 0; i < tokens; ++i) {
    cost[0] = kUnreachable;
    for (size_t j = 0; j < positions; ++j) {
      const float both = before[j];
      const float token = before[j + 1];
      const float position = cost[j];
      const bool both_best = both < token && both < position;
      const bool token_best = token < both && token < position;
      moves[i * positions + j] = both_best ? kBoth : token_best ? kToken : kPosition;
      const double least = both_best ? both : token_best ? token : position;
      cost[j + 1] = static_cast<float>(
          least - static_cast<double>(similarity.row(static_cast<int64_t>(i))[j]));
    }
    std::swap(before, cost);
  }
  std::vector<int64_t> first(tokens, 0);
  size_t i = tokens - 1;
  size_t j = positions - 1;
  while (i > 0) {
    const Move move = j == 0 ? kToken : moves[i * positions + j];
    if (move != kPosition) first[i--] = static_cast<int64_t>(j);
    if (move != kToken) --j;
  }
  return first;
}

}  // namespace parley::decoder
