// Products with compressed weights against the same products with their dequantized values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/stored_matrix.h"
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

// A random matrix as a file would hold it, every code in use, scales of unlike size.
struct Stored {
  std::vector<uint8_t> data;
  std::vector<float> scales;
  std::vector<uint16_t> half_scales;
  std::vector<uint16_t> palette;
  StoredMatrix view;

  Stored(Storage storage, int64_t outputs, int64_t inputs, uint32_t seed) {
    const StorageLayout layout = layout_of(storage, outputs, inputs);
    view.shape = {outputs, inputs};
    view.storage = storage;
    std::mt19937 generator(seed);
    data.resize(static_cast<size_t>(layout.data.elements()));
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(generator());
    view.data = Tensor(data.data(), layout.data, DType::kU8);
    const float code_size = bits_of(storage) == 4 ? 4.5f : 74.f;
    std::uniform_real_distribution<float> size(0.3f, 1.7f);
    for (int64_t i = 0; i < layout.scale.elements(); ++i) {
      scales.push_back(size(generator) * (is_palette(storage) ? 1.f : 1.f / code_size));
      half_scales.push_back(f32_to_f16(scales.back()));
    }
    const bool half = layout.scale_type == DType::kF16;
    view.scale = half ? Tensor(half_scales.data(), layout.scale, DType::kF16)
                      : Tensor(scales.data(), layout.scale, DType::kF32);
    if (is_palette(storage)) {
      std::normal_distribution<float> normal(0.f, 1.f);
      palette.resize(static_cast<size_t>(layout.palette.elements()));
      for (uint16_t& entry : palette) entry = f32_to_f16(normal(generator));
      view.palette = Tensor(palette.data(), layout.palette, DType::kF16);
    }
    check(view);
  }
  std::vector<float> dequantized() const {
    std::vector<float> values(static_cast<size_t>(view.shape.elements()));
    for (int64_t row = 0; row < view.outputs(); ++row)
      dequantize_row(view, row, values.data() + row * view.inputs());
    return values;
  }
};

std::vector<Storage> storages() {
  return {Storage::kInt8,     Storage::kInt8Block, Storage::kInt4,    Storage::kInt4Block,
          Storage::kPalette4, Storage::kPalette6,  Storage::kPalette8};
}

std::vector<Compute> computes() {
  std::vector<Compute> kinds = {Compute::kF32Few, Compute::kBF16Few, Compute::kInt8,
                                Compute::kF32Many, Compute::kInt8Many};
  if (isa() >= Isa::kAvx512) kinds.push_back(Compute::kBF16Many);
  return kinds;
}

// For activations and weights of deviation about 1. Compressed weights are exact in products of
// floats; quantized activations are what they are with plain int8 weights.
double tolerance(Compute compute, Storage storage, int64_t inputs) {
  const double root = std::sqrt(static_cast<double>(inputs));
  switch (compute) {
    case Compute::kF32Few:
    case Compute::kBF16Few:
    case Compute::kF32Many:
      return 1e-5 * root;
    case Compute::kBF16Many:
      return 0.03 * root;
    case Compute::kInt8:
      return (is_palette(storage) ? 0.09 : 0.06) * coarser_bytes() *
             root;  // palettes become 8-bit integers
    case Compute::kInt8Many:
      return 0.09 * coarser_bytes() * root;
  }
  return 0;
}

TEST(Compressed, ProductsEqualThoseOfTheDequantizedMatrix) {
  for (const Storage storage : storages()) {
    for (const auto& [rows, inputs, outputs] : {std::tuple{1, 64, 16},
                                                {2, 100, 70},
                                                {3, 384, 64},
                                                {5, 31, 50},
                                                {12, 160, 33},
                                                {60, 96, 48}}) {
      const Stored stored(storage, outputs, inputs, 5);
      std::vector<float> x = random_values(static_cast<size_t>(rows * inputs), 1);
      std::vector<float> b = random_values(static_cast<size_t>(outputs), 3);
      const std::vector<float> w = stored.dequantized();
      for (const Compute compute : computes()) {
        const Weight weight(WeightSource{{{stored.view, view(b, {outputs})}}}, compute, team());
        Context ctx({.threads = 2});
        const Tensor y = convert(ctx, linear(ctx, weight, view(x, {rows, inputs})), DType::kF32);
        double worst = 0;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t n = 0; n < outputs; ++n) {
            double sum = b[static_cast<size_t>(n)];
            for (int64_t k = 0; k < inputs; ++k)
              sum += static_cast<double>(x[static_cast<size_t>(r * inputs + k)]) *
                     w[static_cast<size_t>(n * inputs + k)];
            worst = std::max(worst, std::abs(y.row(r)[n] - sum));
          }
        }
        EXPECT_LT(worst, tolerance(compute, storage, inputs))
            << name_of(storage) << " " << name_of(compute) << " " << rows << "x" << inputs << "x"
            << outputs;
      }
    }
  }
}

// What the activations' rounding to bytes hides above: with integers that bytes can be as
// activations it is exact.
TEST(Compressed, BytesTimesIntegersAreExact) {
  for (const Storage storage :
       {Storage::kInt8, Storage::kInt8Block, Storage::kInt4, Storage::kInt4Block}) {
    const int64_t rows = 7, inputs = 200, outputs = 80;
    const Stored stored(storage, outputs, inputs, 9);
    std::vector<float> x = random_values(static_cast<size_t>(rows * inputs), 2, 60.f);
    const auto limit = static_cast<float>(kernels::byte_limit());
    for (float& value : x) value = std::clamp(std::round(value + 70.f), 0.f, limit);
    for (int64_t r = 0; r < rows; ++r) x[static_cast<size_t>(r * inputs)] = limit;
    const Weight bytes(WeightSource{{{stored.view, {}}}}, Compute::kInt8, team());
    const Weight floats(WeightSource{{{stored.view, {}}}}, Compute::kF32Few, team());
    Context ctx({.threads = 1});
    const Tensor a = linear(ctx, bytes, view(x, {rows, inputs}));
    const Tensor b = linear(ctx, floats, view(x, {rows, inputs}));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t n = 0; n < outputs; ++n)
        ASSERT_NEAR(a.row(r)[n], b.row(r)[n], 0.02) << name_of(storage) << " " << r << " " << n;
    }
  }
}

TEST(Compressed, RowsDoNotDependOnTheirCompany) {
  for (const Storage storage : storages()) {
    Stored stored(storage, 150, 200, 11);
    std::vector<float> x = random_values(60 * 200, 1);
    for (const Compute compute : {Compute::kF32Few, Compute::kInt8}) {
      const Weight weight(WeightSource{{{stored.view, {}}}}, compute, team());
      Context two({.threads = 2});
      const Tensor together = linear(two, weight, view(x, {60, 200}));
      for (const int64_t batch : {1, 2, 3, 4, 5, 7, 12, 13}) {
        Context one({.threads = 1});
        for (int64_t begin = 0; begin + batch <= 60; begin += batch) {
          const Scope scope(one);
          const Tensor part = linear(one, weight, view(x, {60, 200}).slice_rows(begin, batch));
          for (int64_t r = 0; r < batch; ++r) {
            ASSERT_TRUE(std::equal(part.row(r), part.row(r) + 150, together.row(begin + r)))
                << name_of(storage) << " " << name_of(compute) << " batch " << batch;
          }
        }
      }
    }
  }
}

// Parts that share panels, palettes that do not end with one, and storages side by side.
TEST(Compressed, StacksOfEveryMixtureAreRight) {
  std::vector<float> x = random_values(3 * 64, 1);
  std::vector<float> plain = random_values(20 * 64, 6);
  for (const Storage storage : storages()) {
    for (const int64_t first_outputs : {16, 20}) {
      for (const bool mixed : {false, true}) {
        Stored first(storage, first_outputs, 64, 21);
        Stored second(storage, 24, 64, 22);
        WeightSource source{{{first.view, {}}, {second.view, {}}}};
        if (mixed) source.parts.push_back({view(plain, {20, 64}), {}});
        std::vector<float> all = first.dequantized();
        const std::vector<float> more = second.dequantized();
        all.insert(all.end(), more.begin(), more.end());
        if (mixed) all.insert(all.end(), plain.begin(), plain.end());
        const auto outputs = static_cast<int64_t>(all.size() / 64);
        const Weight whole(WeightSource{{{view(all, {outputs, 64}), {}}}}, Compute::kF32Few,
                           team());
        Context ctx({.threads = 1});
        const Tensor expected = linear(ctx, whole, view(x, {3, 64}));
        for (const Compute compute : {Compute::kF32Few, Compute::kInt8}) {
          const Weight weight(source, compute, team());
          const Tensor y = linear(ctx, weight, view(x, {3, 64}));
          for (int64_t r = 0; r < 3; ++r) {
            for (int64_t n = 0; n < outputs; ++n)
              ASSERT_NEAR(y.row(r)[n], expected.row(r)[n],
                          tolerance(compute, Storage::kPalette4, 64))
                  << name_of(storage) << " " << first_outputs << (mixed ? " mixed" : "");
          }
        }
      }
    }
  }
}

// Four bits stay four bits in memory.
TEST(Compressed, FewRowsKeepWeightsSmall) {
  const int64_t outputs = 256, inputs = 512;
  const auto bits = [&](Storage storage, Compute compute) {
    const Stored stored(storage, outputs, inputs, 1);
    const Weight weight(WeightSource{{{stored.view, {}}}}, compute, team());
    return 8.0 * static_cast<double>(weight.bytes()) / static_cast<double>(outputs * inputs);
  };
  for (const Compute compute : {Compute::kF32Few, Compute::kInt8}) {
    EXPECT_LT(bits(Storage::kInt4Block, compute), 4.8);
    EXPECT_LT(bits(Storage::kInt4, compute), 4.8);
    EXPECT_LT(bits(Storage::kPalette4, compute), 4.5);
    EXPECT_LT(bits(Storage::kInt8Block, compute), 8.8);
    EXPECT_LT(bits(Storage::kInt8, compute), 8.5);
  }
  EXPECT_LT(bits(Storage::kPalette8, Compute::kInt8), 8.5);
  EXPECT_LT(bits(Storage::kPalette8, Compute::kF32Few), 10);
}

}  // namespace
}  // namespace parley::nn
