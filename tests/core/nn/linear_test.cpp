#include "parley/core/nn/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/tests/core/nn/random.h"

namespace parley::nn {
namespace {

using test::coarser_bytes;
using test::random_values;
using test::view;

ThreadTeam& team() {
  static ThreadTeam two(2);
  return two;
}

// The kinds that this CPU has.
std::vector<Compute> computes() {
  std::vector<Compute> kinds = {Compute::kF32Many, Compute::kF32Few, Compute::kBF16Few,
                                Compute::kInt8, Compute::kInt8Many};
  if (isa() >= Isa::kAvx512) kinds.push_back(Compute::kBF16Many);
  return kinds;
}

// How far from the exact product a kind may be, for activations and weights of standard deviation 1
// and `inputs` terms.
double tolerance(Compute compute, int64_t inputs) {
  const double root = std::sqrt(static_cast<double>(inputs));
  switch (compute) {
    case Compute::kF32Many:
    case Compute::kF32Few:
      return 2e-6 * root * 4;
    case Compute::kBF16Many:
      return 0.02 * root;
    case Compute::kBF16Few:
      return 0.01 * root;
    case Compute::kInt8:
    case Compute::kInt8Many:
      return 0.06 * coarser_bytes() * root;
  }
  return 0;
}

double exact_gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }

struct Problem {
  int64_t rows, inputs, outputs;
  std::vector<float> x = random_values(static_cast<size_t>(rows * inputs), 1);
  std::vector<float> w = random_values(static_cast<size_t>(outputs * inputs), 2);
  std::vector<float> b = random_values(static_cast<size_t>(outputs), 3);

  double exact(int64_t r, int64_t n) const {
    double sum = b[static_cast<size_t>(n)];
    for (int64_t k = 0; k < inputs; ++k) {
      sum += static_cast<double>(x[static_cast<size_t>(r * inputs + k)]) *
             w[static_cast<size_t>(n * inputs + k)];
    }
    return sum;
  }
  Weight pack(Compute compute) {
    return {WeightSource{{{view(w, {outputs, inputs}), view(b, {outputs})}}}, compute, team()};
  }
};

TEST(Linear, EqualsTheExactProductInEveryKind) {
  for (const Compute compute : computes()) {
    for (const auto& [rows, inputs, outputs] :
         {std::tuple{1, 64, 16}, {3, 96, 50}, {17, 384, 100}, {130, 33, 77}, {200, 128, 257}}) {
      Problem p{rows, inputs, outputs};
      const Weight weight = p.pack(compute);
      Context ctx({.threads = 2});
      const Tensor y = convert(ctx, linear(ctx, weight, view(p.x, {rows, inputs})), DType::kF32);
      double worst = 0;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t n = 0; n < outputs; ++n)
          worst = std::max(worst, std::abs(y.row(r)[n] - p.exact(r, n)));
      }
      EXPECT_LT(worst, tolerance(compute, inputs))
          << name_of(compute) << " " << rows << "x" << inputs << "x" << outputs;
    }
  }
}

TEST(Linear, AppliesGeluAndAddsToTheResidual) {
  for (const Compute compute : computes()) {
    Problem p{60, 64, 40};
    const Weight weight = p.pack(compute);
    Context ctx({.threads = 2});
    std::vector<float> residual = random_values(60 * 40, 4);
    const std::vector<float> before = residual;
    linear(ctx, weight, view(p.x, {60, 64}),
           {.activation = Activation::kGelu, .residual = view(residual, {60, 40})});
    for (int64_t r = 0; r < 60; ++r) {
      for (int64_t n = 0; n < 40; ++n) {
        const auto i = static_cast<size_t>(r * 40 + n);
        ASSERT_NEAR(residual[i] - before[i], exact_gelu(p.exact(r, n)), tolerance(compute, 64))
            << name_of(compute);
      }
    }
  }
}

TEST(Linear, GeluIsExactToSixDigits) {
  std::vector<float> x;
  for (float value = -12.f; value <= 12.f; value += 0.01f) x.push_back(value);
  std::vector<float> one = {1.f};
  const auto rows = static_cast<int64_t>(x.size());
  const Weight weight(WeightSource{{{view(one, {1, 1})}}}, Compute::kF32Few, team());
  Context ctx({.threads = 1});
  const Tensor y = linear(ctx, weight, view(x, {rows, 1}), {.activation = Activation::kGelu});
  for (int64_t r = 0; r < rows; ++r)
    ASSERT_NEAR(y.row(r)[0], exact_gelu(x[static_cast<size_t>(r)]), 4e-6);
}

// The invariant that batching rests on: a row's result does not depend on the rows beside it, nor
// on threads.
TEST(Linear, RowsDoNotDependOnTheirCompany) {
  for (const Compute compute : {Compute::kF32Few, Compute::kBF16Few, Compute::kInt8}) {
    Problem p{60, 200, 150};
    const Weight weight = p.pack(compute);
    Context two({.threads = 2});
    const Tensor together = linear(two, weight, view(p.x, {60, 200}));
    for (const int64_t batch : {1, 2, 3, 5, 7, 8, 11, 13, 16}) {
      Context one({.threads = 1});
      for (int64_t begin = 0; begin + batch <= 60; begin += batch) {
        const Scope scope(one);
        const Tensor part = linear(one, weight, view(p.x, {60, 200}).slice_rows(begin, batch));
        for (int64_t r = 0; r < batch; ++r) {
          ASSERT_TRUE(std::equal(part.row(r), part.row(r) + 150, together.row(begin + r)))
              << name_of(compute) << " batch " << batch;
        }
      }
    }
  }
}

// Two products of neighbouring bytes are added in 16 bits where there is no VNNI.
TEST(Linear, TheLargestBytesDoNotSaturate) {
  const int64_t rows = 9, inputs = 64, outputs = 40;
  std::vector<float> x(static_cast<size_t>(rows * inputs), 1.f);
  std::vector<float> w(static_cast<size_t>(outputs * inputs));
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<int64_t>(i) / inputs % 2 ? 1.f : -1.f;
  const Weight weight(WeightSource{{{view(w, {outputs, inputs})}}}, Compute::kInt8, team());
  Context ctx({.threads = 1});
  const Tensor y = linear(ctx, weight, view(x, {rows, inputs}));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < outputs; ++n) ASSERT_NEAR(y.row(r)[n], n % 2 ? 64 : -64, 1e-3);
  }
}

TEST(Linear, StacksPartsWithAndWithoutBias) {
  Problem p{5, 32, 48};
  Context ctx({.threads = 1});
  for (const Compute compute : {Compute::kF32Few, Compute::kF32Many}) {
    const Weight whole = p.pack(compute);
    const Tensor w = view(p.w, {48, 32});
    std::vector<float> zeros(16);
    const Weight parts(
        WeightSource{{{w.slice_rows(0, 16),
                       view(p.b, {48}).data ? Tensor(p.b.data(), {16}, DType::kF32) : Tensor()},
                      {w.slice_rows(16, 16), {}},
                      {w.slice_rows(32, 16), Tensor(p.b.data() + 32, {16}, DType::kF32)}}},
        compute, team());
    const Tensor a = linear(ctx, whole, view(p.x, {5, 32}));
    const Tensor b = linear(ctx, parts, view(p.x, {5, 32}));
    for (int64_t r = 0; r < 5; ++r) {
      for (int64_t n = 0; n < 48; ++n) {
        const float bias = n >= 16 && n < 32 ? p.b[static_cast<size_t>(n)] : 0.f;
        ASSERT_NEAR(a.row(r)[n] - bias, b.row(r)[n], 1e-5);
      }
    }
  }
}

TEST(Linear, TakesWeightsOfEveryFloatType) {
  Problem p{4, 40, 20};
  std::vector<uint16_t> half(p.w.size());
  std::vector<uint16_t> brain(p.w.size());
  for (size_t i = 0; i < p.w.size(); ++i) {
    half[i] = f32_to_f16(p.w[i]);
    brain[i] = f32_to_bf16(p.w[i]);
  }
  Context ctx({.threads = 1});
  for (const Compute compute : {Compute::kF32Few, Compute::kInt8}) {
    const Weight a(WeightSource{{{Tensor(half.data(), {20, 40}, DType::kF16)}}}, compute, team());
    const Weight b(WeightSource{{{Tensor(brain.data(), {20, 40}, DType::kBF16), view(p.b, {20})}}},
                   compute, team());
    const Tensor y = linear(ctx, a, view(p.x, {4, 40}));
    const Tensor z = linear(ctx, b, view(p.x, {4, 40}));
    for (int64_t n = 0; n < 20; ++n) {
      ASSERT_NEAR(y.row(0)[n] + p.b[static_cast<size_t>(n)], p.exact(0, n),
                  tolerance(compute, 40) + 0.02);
      ASSERT_NEAR(z.row(0)[n], p.exact(0, n), tolerance(compute, 40) + 0.1);
    }
  }
}

TEST(Linear, RefusesBf16WhereTheProcessorLacksIt) {
  if (isa() >= Isa::kAvx512) GTEST_SKIP() << "this processor has it";
  EXPECT_THROW(compute_for(Precision::kBF16, Rows::kMany), Error);
}

TEST(Linear, RefusesShapesThatDisagree) {
  std::vector<float> w(20 * 10);
  std::vector<float> b(19);
  EXPECT_THROW(Weight(WeightSource{{{view(w, {20, 10}), view(b, {19})}}}, Compute::kF32Few, team()),
               Error);
  EXPECT_THROW(
      Weight(WeightSource{{{view(w, {20, 10})}, {view(w, {10, 20})}}}, Compute::kF32Few, team()),
      Error);
}

TEST(Linear, Conv1dEqualsTheDefinition) {
  const int64_t frames = 50, channels = 12, outputs = 24, kernel = 3;
  std::vector<float> x = random_values(static_cast<size_t>(frames * channels), 5);
  std::vector<float> w = random_values(static_cast<size_t>(outputs * channels * kernel), 6);
  std::vector<float> b = random_values(static_cast<size_t>(outputs), 7);
  for (const Compute compute : computes()) {
    for (const int64_t stride : {1, 2}) {
      const int64_t count = (frames + 2 - kernel) / stride + 1;
      const Conv1d conv = Conv1d::pack(view(w, {outputs, channels, kernel}), view(b, {outputs}),
                                       stride, 1, compute, team());
      Context ctx({.threads = 2});
      const Tensor y = convert(ctx, conv1d(ctx, conv, view(x, {frames, channels})), DType::kF32);
      ASSERT_EQ(y.shape, (Shape{count, outputs}));
      for (int64_t t = 0; t < count; ++t) {
        for (int64_t n = 0; n < outputs; ++n) {
          double sum = b[static_cast<size_t>(n)];
          for (int64_t k = 0; k < kernel; ++k) {
            const int64_t source = t * stride + k - 1;
            if (source < 0 || source >= frames) continue;
            for (int64_t c = 0; c < channels; ++c) {
              sum += static_cast<double>(x[static_cast<size_t>(source * channels + c)]) *
                     w[static_cast<size_t>((n * channels + c) * kernel + k)];
            }
          }
          ASSERT_NEAR(y.row(t)[n], sum, tolerance(compute, channels * kernel))
              << name_of(compute) << " stride " << stride;
        }
      }
    }
  }
}

TEST(LayerNorm, EqualsTheDefinition) {
  for (const int64_t size : {5, 64, 100, 384}) {
    std::vector<float> x = random_values(static_cast<size_t>(3 * size), 8, 3.f);
    std::vector<float> w = random_values(static_cast<size_t>(size), 9);
    std::vector<float> b = random_values(static_cast<size_t>(size), 10);
    Context ctx({.threads = 1});
    const LayerNorm norm = LayerNorm::load(view(w, {size}), view(b, {size}));
    const Tensor y = layer_norm(ctx, norm, view(x, {3, size}));
    const Tensor z =
        convert(ctx, layer_norm(ctx, norm, view(x, {3, size}), DType::kBF16), DType::kF32);
    for (int64_t r = 0; r < 3; ++r) {
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < size; ++i)
        mean += x[static_cast<size_t>(r * size + i)] / static_cast<double>(size);
      for (int64_t i = 0; i < size; ++i)
        variance +=
            std::pow(x[static_cast<size_t>(r * size + i)] - mean, 2) / static_cast<double>(size);
      for (int64_t i = 0; i < size; ++i) {
        const double expected = (x[static_cast<size_t>(r * size + i)] - mean) /
                                    std::sqrt(variance + 1e-5) * w[static_cast<size_t>(i)] +
                                b[static_cast<size_t>(i)];
        ASSERT_NEAR(y.row(r)[i], expected, 1e-5);
        ASSERT_NEAR(z.row(r)[i], expected, std::abs(expected) / 128 + 1e-5);
      }
    }
  }
}

TEST(Peak, FindsTheFirstMaximumAndTheLogSum) {
  std::vector<float> row = random_values(1000, 11, 4.f);
  row[700] = row[300] = 50.f;
  row[5] = -std::numeric_limits<float>::infinity();
  const Peak found = peak(row);
  double sum = 0;
  for (const float value : row) sum += std::exp(static_cast<double>(value) - 50);
  EXPECT_EQ(found.index, 300);
  EXPECT_EQ(found.maximum, 50.f);
  EXPECT_NEAR(found.logsumexp, 50 + std::log(sum), 1e-4);
}

TEST(Peak, TakesRowsWithOnlyOneFiniteValue) {
  std::vector<float> row(37, -std::numeric_limits<float>::infinity());
  row[36] = -3.f;
  const Peak found = peak(row);
  EXPECT_EQ(found.index, 36);
  EXPECT_NEAR(found.logsumexp, -3.f, 1e-6);
}

}  // namespace
}  // namespace parley::nn
