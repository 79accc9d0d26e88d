#include "parley/core/nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/linear.h"
#include "parley/tests/core/nn/random.h"

namespace parley::nn {
namespace {

using test::coarser_bytes;
using test::random_values;
using test::view;

// softmax(q K^T / sqrt(d)) V for one query, in double precision.
std::vector<double> exact(const float* q, const std::vector<const float*>& keys,
                          const std::vector<const float*>& values, int64_t dim) {
  std::vector<double> scores;
  double maximum = -1e300;
  for (const float* key : keys) {
    double dot = 0;
    for (int64_t d = 0; d < dim; ++d) dot += static_cast<double>(q[d]) * key[d];
    scores.push_back(dot / std::sqrt(static_cast<double>(dim)));
    maximum = std::max(maximum, scores.back());
  }
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - maximum);
  std::vector<double> out(static_cast<size_t>(dim));
  for (size_t t = 0; t < values.size(); ++t) {
    for (int64_t d = 0; d < dim; ++d) out[static_cast<size_t>(d)] += scores[t] / sum * values[t][d];
  }
  return out;
}

TEST(Attention, OfAnEncoderEqualsTheDefinition) {
  for (const auto& [positions, heads, dim] :
       {std::tuple{40, 2, 16}, {150, 2, 64}, {333, 1, 64}, {200, 3, 20}}) {
    const int64_t width = heads * dim;
    std::vector<float> qkv = random_values(static_cast<size_t>(positions * 3 * width), 1);
    for (const DType type : {DType::kF32, DType::kBF16}) {
      if (type == DType::kBF16 && isa() < Isa::kAvx512) continue;
      Context ctx({.threads = 2});
      const Tensor input = convert(ctx, view(qkv, {positions, 3 * width}), type);
      const Tensor y =
          convert(ctx, self_attention(ctx, input, heads, Compute::kF32Many), DType::kF32);
      for (int64_t head = 0; head < heads; ++head) {
        std::vector<const float*> keys, values;
        for (int64_t t = 0; t < positions; ++t) {
          keys.push_back(qkv.data() + t * 3 * width + width + head * dim);
          values.push_back(qkv.data() + t * 3 * width + 2 * width + head * dim);
        }
        for (int64_t t = 0; t < positions; ++t) {
          const auto expected = exact(qkv.data() + t * 3 * width + head * dim, keys, values, dim);
          for (int64_t d = 0; d < dim; ++d) {
            ASSERT_NEAR(y.row(t)[head * dim + d], expected[static_cast<size_t>(d)],
                        type == DType::kF32 ? 1e-5 : 0.05);
          }
        }
      }
    }
  }
}

TEST(Attention, InEightBitsStaysNearTheDefinition) {
  for (const int64_t positions : {64, 100, 333, 1500}) {
    const int64_t heads = 2;
    const int64_t width = heads * 64;
    std::vector<float> qkv = random_values(static_cast<size_t>(positions * 3 * width), 6);
    Context ctx({.threads = 2});
    const Tensor fast =
        self_attention(ctx, view(qkv, {positions, 3 * width}), heads, Compute::kInt8);
    const Tensor slow =
        self_attention(ctx, view(qkv, {positions, 3 * width}), heads, Compute::kF32Many);
    double error = 0;
    double norm = 0;
    for (int64_t i = 0; i < fast.shape.elements(); ++i) {
      error += std::pow(fast.f32()[i] - slow.f32()[i], 2);
      norm += std::pow(slow.f32()[i], 2);
    }
    EXPECT_LT(std::sqrt(error / norm), 0.021 * coarser_bytes()) << positions;
  }
}

TEST(Attention, OfAnEncoderDoesNotDependOnThreads) {
  const int64_t positions = 200, width = 2 * 64;
  std::vector<float> qkv = random_values(static_cast<size_t>(positions * 3 * width), 7);
  for (const Compute compute : {Compute::kF32Many, Compute::kInt8Many}) {
    Context one({.threads = 1});
    Context two({.threads = 2});
    const Tensor a = self_attention(one, view(qkv, {positions, 3 * width}), 2, compute);
    const Tensor b = self_attention(two, view(qkv, {positions, 3 * width}), 2, compute);
    ASSERT_TRUE(std::equal(a.f32(), a.f32() + positions * width, b.f32())) << name_of(compute);
  }
}

// Many small probabilities beside one large one: all that bytes relative to the row's largest would
// lose.
TEST(Attention, InEightBitsKeepsTheMassOfManySmallProbabilities) {
  const int64_t positions = 1500;
  std::vector<float> qkv(static_cast<size_t>(positions * 3 * 64));
  for (int64_t t = 0; t < positions; ++t) {
    float* row = &qkv[static_cast<size_t>(t * 3 * 64)];
    row[0] = 8.f;                      // q
    row[64] = t == 700 ? 7.2f : 0.f;   // k: key 700 scores 7.2 more, e^7.2 = 1339 times the others
    row[128] = t == 700 ? 1.f : -1.f;  // v
  }
  Context ctx({.threads = 1});
  const Tensor fast = self_attention(ctx, view(qkv, {positions, 3 * 64}), 1, Compute::kInt8);
  const double large = std::exp(7.2);
  EXPECT_NEAR(fast.row(3)[0], (large - 1499) / (large + 1499), 0.06)
      << "bytes relative to the row would give 1";
}

// Segments as a KV cache has them: blocks of 32 positions, the last one partly filled.
struct Cache {
  int64_t heads, dim, positions;
  bool f16;
  std::vector<float> k = random_values(static_cast<size_t>(positions * heads * dim), 2);
  std::vector<float> v = random_values(static_cast<size_t>(positions * heads * dim), 3);
  std::vector<Buffer> memory = {};
  std::vector<Segment> segments = {};  // all of head 0, then head 1, ...

  void fill() {
    constexpr int64_t kBlock = 32;
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t begin = 0; begin < positions; begin += kBlock) {
        Buffer& keys = memory.emplace_back(static_cast<size_t>(kBlock * dim) * 4);
        Buffer& values = memory.emplace_back(static_cast<size_t>(kBlock * dim) * 4);
        const Segment segment{keys.data(), values.data(), std::min(kBlock, positions - begin),
                              kBlock};
        for (int64_t t = 0; t < segment.count; ++t) {
          const auto at = static_cast<size_t>(((begin + t) * heads + head) * dim);
          store_position(segment, t, dim, f16, &k[at], &v[at]);
        }
        segments.push_back(segment);
      }
    }
  }
};

TEST(Attention, OverACacheEqualsTheDefinition) {
  for (const bool f16 : {false, true}) {
    for (const auto& [positions, dim] :
         {std::pair{1, 16}, {31, 64}, {32, 64}, {77, 64}, {200, 32}}) {
      Cache cache{.heads = 3, .dim = dim, .positions = positions, .f16 = f16};
      cache.memory.reserve(1000);
      cache.fill();
      const int64_t width = 3 * dim;
      std::vector<float> q = random_values(static_cast<size_t>(6 * width), 4);
      std::vector<float> out(q.size());
      const int64_t first[] = {0, 2, 3, 5};
      const int64_t second[] = {4};
      const AttentionGroup groups[] = {{first, cache.segments}, {second, cache.segments}};
      Context ctx({.threads = 2});
      cached_attention(ctx, view(q, {6, width}), 3, groups, f16, view(out, {6, width}));
      for (const int64_t row : {0, 2, 3, 4, 5}) {
        for (int64_t head = 0; head < 3; ++head) {
          std::vector<const float*> keys, values;
          for (int64_t t = 0; t < positions; ++t) {
            keys.push_back(&cache.k[static_cast<size_t>((t * 3 + head) * dim)]);
            values.push_back(&cache.v[static_cast<size_t>((t * 3 + head) * dim)]);
          }
          const auto expected =
              exact(&q[static_cast<size_t>(row * width + head * dim)], keys, values, dim);
          for (int64_t d = 0; d < dim; ++d) {
            ASSERT_NEAR(out[static_cast<size_t>(row * width + head * dim + d)],
                        expected[static_cast<size_t>(d)], f16 ? 4e-3 : 1e-5);
          }
        }
      }
      for (int64_t i = 0; i < width; ++i)
        ASSERT_EQ(out[static_cast<size_t>(width + i)], 0.f) << "row 1 is in no group";
    }
  }
}

TEST(Attention, OfARowDoesNotDependOnTheRowsBesideIt) {
  Cache cache{.heads = 2, .dim = 64, .positions = 100, .f16 = true};
  cache.memory.reserve(100);
  cache.fill();
  std::vector<float> q = random_values(8 * 128, 5);
  std::vector<float> together(q.size()), alone(q.size());
  const int64_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
  Context ctx({.threads = 2});
  const AttentionGroup group[] = {{all, cache.segments}};
  cached_attention(ctx, view(q, {8, 128}), 2, group, true, view(together, {8, 128}));
  for (int64_t row = 0; row < 8; ++row) {
    const AttentionGroup single[] = {
        {std::span(all).subspan(static_cast<size_t>(row), 1), cache.segments}};
    cached_attention(ctx, view(q, {8, 128}), 2, single, true, view(alone, {8, 128}));
  }
  EXPECT_EQ(together, alone);
}

TEST(Attention, ShowsTheProbabilitiesOfProbedHeads) {
  for (const bool f16 : {false, true}) {
    Cache cache{.heads = 3, .dim = 16, .positions = 77, .f16 = f16};
    cache.memory.reserve(100);
    cache.fill();
    std::vector<float> q = random_values(3 * 48, 6);
    std::vector<float> out(q.size()), plain(q.size());
    const int64_t rows[] = {0, 2};
    const AttentionGroup groups[] = {{rows, cache.segments}};
    const int64_t heads[] = {2, 0};
    constexpr int64_t kSeen = 50;
    std::vector<float> shown(2 * 3 * kSeen, -1.f);
    Context ctx({.threads = 2});
    cached_attention(ctx, view(q, {3, 48}), 3, groups, f16, view(out, {3, 48}),
                     {heads, kSeen, view(shown, {2, 3, kSeen})});
    cached_attention(ctx, view(q, {3, 48}), 3, groups, f16, view(plain, {3, 48}));
    EXPECT_EQ(out, plain) << "a probe changes nothing";
    for (size_t h = 0; h < 2; ++h) {
      for (const int64_t row : rows) {
        double total = 0;
        std::vector<double> expected;
        for (int64_t t = 0; t < kSeen; ++t) {
          double dot = 0;
          for (int64_t d = 0; d < 16; ++d) {
            dot += q[static_cast<size_t>(row * 48 + heads[h] * 16 + d)] *
                   cache.k[static_cast<size_t>((t * 3 + heads[h]) * 16 + d)];
          }
          total += expected.emplace_back(std::exp(dot / 4));
        }
        for (int64_t t = 0; t < kSeen; ++t) {
          ASSERT_NEAR(shown[(h * 3 + static_cast<size_t>(row)) * kSeen + static_cast<size_t>(t)],
                      expected[static_cast<size_t>(t)] / total, f16 ? 1e-3 : 1e-5);
        }
      }
      EXPECT_EQ(shown[(h * 3 + 1) * kSeen], -1.f) << "row 1 is in no group";
    }
  }
}

}  // namespace
}  // namespace parley::nn
