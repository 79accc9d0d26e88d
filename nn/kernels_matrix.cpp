// Rows times packed matrices (kernels.h), by Highway: f32, bf16 and int8 weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/kernels_matrix.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "nn/epilogue-inl.h"
#include "nn/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

// How many rows and panels one tile holds in registers: wide vectors come with 32 registers, others
// with 16.
constexpr int kAccumulators = HWY_TARGET == HWY_AVX3 ? 24 : 12;
constexpr int kMaxRows = HWY_TARGET == HWY_AVX3 ? 12 : HWY_TARGET == HWY_AVX2 ? 6 : 2;
constexpr int panels_for(int rows) { return std::clamp(kAccumulators / (rows * kVectors), 1, 8); }

HWY_INLINE hn::Vec<F32> load_weights(F32 d, const float* p) { return hn::Load(d, p); }
HWY_INLINE hn::Vec<F32> load_weights(F32 d, const hwy::bfloat16_t* p) {
  const hn::Rebind<uint16_t, F32> d16;
  const hn::Rebind<uint32_t, F32> d32;
  const auto bits = hn::PromoteTo(d32, hn::Load(d16, reinterpret_cast<const uint16_t*>(p)));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

// Panels that are multiplied with all rows before the next ones.
constexpr int64_t kGroup = 8;

// Fetches the weights of the next group of panels, a part of them in each tile of rows.
template <int P, class W>
class Ahead {
 public:
  // w: of the tile's first panel.
  Ahead(const FloatRows& a, int64_t row, const W* w) {
    const int64_t tiles = a.rows / kMaxRows;
    const int64_t all = P * a.inputs * kPanel;  // of the P panels behind the group
    next_ = w + kGroup * a.inputs * kPanel + all * (row / kMaxRows) / tiles;
    step_ = (kOne * P * kPanel + tiles - 1) / tiles;
  }
  HWY_INLINE void fetch() {
    __builtin_prefetch(next_ + (position_ >> kBits), 0, 2);
    position_ += step_;
  }

 private:
  static constexpr int kBits = 8;
  static constexpr int64_t kOne = 1 << kBits;
  const W* next_;
  int64_t step_;  // elements of one input, times kOne
  int64_t position_ = 0;
};

template <int R, int P, class W, bool kAhead>
HWY_INLINE void float_tile(const FloatRows& a, int64_t row, int64_t panel) {
  const F32 d;
  hn::Vec<F32> sum[R][P][kVectors];
  for (auto& panels : sum) {
    for (auto& vectors : panels) {
      for (auto& vector : vectors) vector = hn::Zero(d);
    }
  }
  const int64_t panel_size = a.inputs * kPanel;
  const int64_t run = a.inputs / a.taps;
  const W* w = static_cast<const W*>(a.panels) + panel * panel_size;
  [[maybe_unused]] std::conditional_t<kAhead, Ahead<P, W>, char> ahead = [&] {
    if constexpr (kAhead) {
      return Ahead<P, W>(a, row, w);
    } else {
      return char{};
    }
  }();
  for (int64_t tap = 0; tap < a.taps; ++tap) {
    const float* x = a.x + row * a.x_stride + tap * a.tap_stride;
    for (int64_t k = 0; k < run; ++k, w += kPanel) {
      if constexpr (kAhead) ahead.fetch();
      hn::Vec<F32> weights[P][kVectors];
      for (int p = 0; p < P; ++p) {
        for (int v = 0; v < kVectors; ++v)
          weights[p][v] = load_weights(d, w + p * panel_size + v * kLanes);
      }
      for (int r = 0; r < R; ++r) {
        const auto value = hn::Set(d, x[r * a.x_stride + k]);
        for (int p = 0; p < P; ++p) {
          for (int v = 0; v < kVectors; ++v)
            sum[r][p][v] = hn::MulAdd(value, weights[p][v], sum[r][p][v]);
        }
      }
    }
  }
  const bool plain = !a.epilogue.bias && !a.epilogue.gelu && !a.epilogue.accumulate &&
                     (panel + P) * kPanel <= a.outputs;
  for (int r = 0; r < R; ++r) {
    float* out = a.out + (row + r) * a.out_stride;
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < kVectors; ++v) {
        const int64_t column = (panel + p) * kPanel + v * kLanes;
        if (plain) {
          hn::StoreU(sum[r][p][v], d, out + column);
        } else {
          finish(d, sum[r][p][v], a.epilogue, column, a.outputs, out);
        }
      }
    }
  }
}

template <int R, class W, bool kAhead = false>
HWY_NOINLINE void float_panels(const FloatRows& a, int64_t row, int64_t begin, int64_t end) {
  constexpr int kTile = panels_for(R);
  int64_t panel = begin;
  for (; panel + kTile <= end; panel += kTile) float_tile<R, kTile, W, kAhead>(a, row, panel);
  for (; panel < end; ++panel) float_tile<R, 1, W, kAhead>(a, row, panel);
}

template <class W>
void float_rows(const FloatRows& a) {
  // Panels in small groups outside, rows inside: a group's weights stay in the cache while the rows
  // pass.
  for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += kGroup) {
    const int64_t end = std::min(begin + kGroup, a.panel_end);
    int64_t row = 0;
    for (; row + kMaxRows <= a.rows; row += kMaxRows) {
      if (a.prefetch) {
        float_panels<kMaxRows, W, true>(a, row, begin, end);
      } else {
        float_panels<kMaxRows, W>(a, row, begin, end);
      }
    }
    switch (a.rows - row) {
      case 11:
        float_panels<HWY_MIN(kMaxRows, 11), W>(a, row, begin, end);
        break;
      case 10:
        float_panels<HWY_MIN(kMaxRows, 10), W>(a, row, begin, end);
        break;
      case 9:
        float_panels<HWY_MIN(kMaxRows, 9), W>(a, row, begin, end);
        break;
      case 8:
        float_panels<HWY_MIN(kMaxRows, 8), W>(a, row, begin, end);
        break;
      case 7:
        float_panels<HWY_MIN(kMaxRows, 7), W>(a, row, begin, end);
        break;
      case 6:
        float_panels<HWY_MIN(kMaxRows, 6), W>(a, row, begin, end);
        break;
      case 5:
        float_panels<HWY_MIN(kMaxRows, 5), W>(a, row, begin, end);
        break;
      case 4:
        float_panels<HWY_MIN(kMaxRows, 4), W>(a, row, begin, end);
        break;
      case 3:
        float_panels<HWY_MIN(kMaxRows, 3), W>(a, row, begin, end);
        break;
      case 2:
        float_panels<2, W>(a, row, begin, end);
        break;
      case 1:
        float_panels<1, W>(a, row, begin, end);
        break;
      default:
        break;
    }
  }
}

void multiply_float_rows(const FloatRows& a) {
  if (a.bf16) {
    float_rows<hwy::bfloat16_t>(a);
  } else {
    float_rows<float>(a);
  }
}

// Four neighbouring inputs of a few outputs lie together (the packing of kernels.h). Widened to 16
// bits and multiplied pairwise with the row's four inputs (pmaddwd), each output gets two partial
// sums side by side. Sums are exact.
template <int R>
HWY_INLINE void int8_sums(const Int8Rows& a, int64_t row, int64_t panel, int32_t (*sums)[kPanel]) {
  const int8_t* w = a.panels + panel * kPanel * a.inputs;
  const uint8_t* q = a.x.q + row * a.x.stride;
#if HWY_TARGET == HWY_SCALAR
  for (int r = 0; r < R; ++r) {
    for (int64_t n = 0; n < kPanel; ++n) sums[r][n] = 0;
    for (int64_t k = 0; k < a.inputs; k += 4) {
      const uint8_t* x = q + r * a.x.stride + k;
      for (int64_t n = 0; n < kPanel; ++n) {
        const int8_t* four = w + k * kPanel + n * 4;
        sums[r][n] += x[0] * four[0] + x[1] * four[1] + x[2] * four[2] + x[3] * four[3];
      }
    }
  }
#else
  const hn::ScalableTag<int16_t> d16;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::Rebind<uint8_t, decltype(d16)> du8;
  constexpr int kBytes = HWY_MAX_BYTES / 2;  // weights that fill a vector when widened
  constexpr int kParts = 64 / kBytes;        // vectors in 16 outputs x 4 inputs
  hn::Vec<decltype(d32)> sum[R][kParts];
  for (auto& parts : sum) {
    for (auto& part : parts) part = hn::Zero(d32);
  }
  for (int64_t k = 0; k < a.inputs; k += 4) {
    hn::Vec<decltype(d16)> values[R];
    for (int r = 0; r < R; ++r) {
      uint32_t four;
      __builtin_memcpy(&four, q + r * a.x.stride + k, sizeof four);
      values[r] = hn::PromoteTo(
          d16, hn::BitCast(du8, hn::Set(hn::Repartition<uint32_t, decltype(du8)>(), four)));
    }
    for (int part = 0; part < kParts; ++part) {
      const auto weights = hn::PromoteTo(d16, hn::LoadU(d8, w + k * kPanel + part * kBytes));
      for (int r = 0; r < R; ++r) {
        auto unused = hn::Zero(d32);
        sum[r][part] = hn::ReorderWidenMulAccumulate(d32, weights, values[r], sum[r][part], unused);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    HWY_ALIGN int32_t pairs[kPanel * 2];
    for (int part = 0; part < kParts; ++part)
      hn::Store(sum[r][part], d32, pairs + part * (kBytes / 2));
    for (int64_t n = 0; n < kPanel; ++n) sums[r][n] = pairs[2 * n] + pairs[2 * n + 1];
  }
#endif
}

// sums: [rows, panels * 16] of exact products, to which the scales, zero points and the epilogue
// are applied.
void finish_int8(const Int8Rows& a, int64_t row, int rows, int64_t panel, int panels,
                 const int32_t* sums) {
  const F32 d;
  const hn::RebindToSigned<F32> d32;
  for (int r = 0; r < rows; ++r) {
    const auto zero = hn::Set(d32, a.x.zero[row + r]);
    const auto scale = hn::Set(d, a.x.scale[row + r]);
    for (int i = 0; i < panels * kPanel; i += kLanes) {
      const int64_t n = panel * kPanel + i;
      const auto offset = hn::Mul(zero, hn::LoadU(d32, a.weight_sum + n));
      const auto product =
          hn::ConvertTo(d, hn::Sub(hn::LoadU(d32, sums + r * panels * kPanel + i), offset));
      const auto value = hn::Mul(product, hn::Mul(scale, hn::LoadU(d, a.weight_scale + n)));
      finish(d, value, a.epilogue, n, a.outputs, a.out + (row + r) * a.out_stride);
    }
  }
}

template <int R>
HWY_NOINLINE void int8_tile(const Int8Rows& a, int64_t row, int64_t panel) {
  int32_t sums[R][kPanel];
  int8_sums<R>(a, row, panel, sums);
  finish_int8(a, row, R, panel, 1, sums[0]);
}

void multiply_int8_rows_vnni(const Int8Rows& a) {
  // Panels in small groups outside, rows inside: a group's weights stay in the cache while the rows
  // pass.
  const int64_t group = a.rows <= kVnniTileRows ? a.panel_end - a.panel_begin : 8;
  alignas(64) int32_t sums[kVnniTileSums];
  for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += group) {
    const int64_t end = std::min(begin + group, a.panel_end);
    for (int64_t row = 0; row < a.rows; row += kVnniTileRows) {
      const int rows = static_cast<int>(std::min<int64_t>(a.rows - row, kVnniTileRows));
      for (int64_t panel = begin; panel < end;) {
        const int panels = end - panel >= vnni_tile_panels(rows) ? vnni_tile_panels(rows) : 1;
        vnni_sums(a, row, rows, panel, panels, sums);
        finish_int8(a, row, rows, panel, panels, sums);
        panel += panels;
      }
    }
  }
}

void multiply_int8_rows(const Int8Rows& a) {
  if (a.vnni) return multiply_int8_rows_vnni(a);
  constexpr int kTile = HWY_TARGET == HWY_AVX3 ? 6 : HWY_TARGET == HWY_AVX2 ? 3 : 1;
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t row = 0;
    for (; row + kTile <= a.rows; row += kTile) int8_tile<kTile>(a, row, panel);
    for (; row < a.rows; ++row) int8_tile<1>(a, row, panel);
  }
}

void quantize_one_row(const float* x, int64_t inputs, int64_t stride, uint8_t* q, float* scale,
                      int32_t* zero) {
  const F32 d;
  auto low = hn::Zero(d);
  auto high = hn::Zero(d);
  int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes) {
    const auto value = hn::LoadU(d, x + k);
    low = hn::Min(low, value);
    high = hn::Max(high, value);
  }
  float minimum = hn::GetLane(hn::MinOfLanes(d, low));
  float maximum = hn::GetLane(hn::MaxOfLanes(d, high));
  for (; k < inputs; ++k) {
    minimum = std::min(minimum, x[k]);
    maximum = std::max(maximum, x[k]);
  }
  const float step = std::max((maximum - minimum) / 255.f, 1e-30f);
  const auto offset = static_cast<int32_t>(std::lrint(-minimum / step));
  const float inverse = 1.f / step;
  const hn::RebindToSigned<F32> d32;
  const hn::Rebind<uint8_t, F32> d8;
  const auto factor = hn::Set(d, inverse);
  const auto shift = hn::Set(d32, offset);
  for (k = 0; k + kLanes <= inputs; k += kLanes) {
    const auto rounded = hn::Add(hn::NearestInt(hn::Mul(hn::LoadU(d, x + k), factor)), shift);
    hn::StoreU(hn::DemoteTo(d8, rounded), d8, q + k);
  }
  for (; k < inputs; ++k) {
    q[k] = static_cast<uint8_t>(
        std::clamp<int32_t>(static_cast<int32_t>(std::lrint(x[k] * inverse)) + offset, 0, 255));
  }
  for (; k < stride; ++k) q[k] = static_cast<uint8_t>(offset);
  *scale = step;
  *zero = offset;
}

void quantize_one_output(const float* w, int64_t inputs, int8_t* q, float* scale, int32_t* sum) {
  const F32 d;
  auto highest = hn::Zero(d);
  int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes)
    highest = hn::Max(highest, hn::Abs(hn::LoadU(d, w + k)));
  float largest = hn::GetLane(hn::MaxOfLanes(d, highest));
  for (; k < inputs; ++k) largest = std::max(largest, std::abs(w[k]));
  const float step = std::max(largest / 127.f, 1e-30f);
  const hn::RebindToSigned<F32> d32;
  const hn::Rebind<int8_t, F32> d8;
  const auto factor = hn::Set(d, 1.f / step);
  auto total = hn::Zero(d32);
  for (k = 0; k + kLanes <= inputs; k += kLanes) {
    const auto rounded = hn::NearestInt(hn::Mul(hn::LoadU(d, w + k), factor));
    total = hn::Add(total, rounded);
    hn::StoreU(hn::DemoteTo(d8, rounded), d8, q + k);
  }
  *sum = hn::GetLane(hn::SumOfLanes(d32, total));
  for (; k < inputs; ++k) {
    q[k] = static_cast<int8_t>(std::lrint(w[k] / step));
    *sum += q[k];
  }
  *scale = step;
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(multiply_float_rows);
HWY_EXPORT(multiply_int8_rows);
HWY_EXPORT(quantize_one_row);
HWY_EXPORT(quantize_one_output);

void multiply_rows(const FloatRows& args) { HWY_DYNAMIC_DISPATCH(multiply_float_rows)(args); }
void multiply_rows(const Int8Rows& args) { HWY_DYNAMIC_DISPATCH(multiply_int8_rows)(args); }

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, int64_t stride,
                   uint8_t* q, float* scale, int32_t* zero) {
  for (int64_t r = 0; r < rows; ++r) {
    HWY_DYNAMIC_DISPATCH(quantize_one_row)
    (x + r * x_stride, inputs, stride, q + r * stride, scale + r, zero + r);
  }
}

void quantize_weights(const float* w, int64_t inputs, int8_t* q, float* scale, int32_t* sum) {
  HWY_DYNAMIC_DISPATCH(quantize_one_output)(w, inputs, q, scale, sum);
}

}  // namespace parley::nn::kernels
#endif
