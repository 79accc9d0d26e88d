// Rows of bytes times int8 matrices (kernels.h), by Highway, and how both are made.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_int8.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/highway.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "parley/core/nn/cpu/bytes-inl.h"
#include "parley/core/nn/cpu/epilogue-inl.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

// How many rows and panels one tile holds in registers.
constexpr int kMostRows = HWY_TARGET == HWY_AVX3 ? 12 : HWY_TARGET == HWY_AVX2 ? 6 : 2;
constexpr int tile_panels(int rows) {
  return std::clamp((HWY_TARGET == HWY_AVX3 ? 24 : 12) / (rows * kByteVectors), 1, 8);
}
constexpr int kTileSums = std::max(24 * static_cast<int>(kPanel), kVnniTileSums);

template <int R, int P>
HWY_NOINLINE void int8_tile(const Int8Rows& a, int64_t row, int64_t panel, int32_t* sums,
                            int64_t stride) {
  byte_tile<R, P>(a.x.q + row * a.x.stride, a.x.stride, a.panels + panel * kPanel * a.inputs,
                  a.inputs, sums, stride);
}

template <int R>
void tile_of_rows(const Int8Rows& a, int64_t row, int64_t panel, int panels, int32_t* sums,
                  int64_t stride) {
  if (panels == tile_panels(R)) {
    int8_tile<R, tile_panels(R)>(a, row, panel, sums, stride);
  } else {
    int8_tile<R, 1>(a, row, panel, sums, stride);
  }
}

// For rows <= kMostRows and panels either tile_panels(rows) or 1.
template <int... R>
void tile_of_any(std::integer_sequence<int, R...> /*rows less one*/, const Int8Rows& a, int64_t row,
                 int rows, int64_t panel, int panels, int32_t* sums, int64_t stride) {
  using TileOfRows = void (*)(const Int8Rows&, int64_t, int64_t, int, int32_t*, int64_t);
  static constexpr TileOfRows kTiles[] = {tile_of_rows<R + 1>...};
  kTiles[rows - 1](a, row, panel, panels, sums, stride);
}
void byte_sums(const Int8Rows& a, int64_t row, int rows, int64_t panel, int panels, int32_t* sums,
               int64_t stride) {
  tile_of_any(std::make_integer_sequence<int, kMostRows>(), a, row, rows, panel, panels, sums,
              stride);
}

void multiply_tile_of_bytes(const Int8Rows& a, int32_t* sums, int64_t stride) {
  const auto rows = static_cast<int>(a.rows);
  for (int64_t row = 0; row < rows; row += kMostRows) {
    const int count = std::min(kMostRows, rows - static_cast<int>(row));
    for (int64_t panel = a.panel_begin; panel < a.panel_end;) {
      const int panels = a.panel_end - panel >= tile_panels(count) ? tile_panels(count) : 1;
      byte_sums(a, row, count, panel, panels,
                sums + row * stride + (panel - a.panel_begin) * kPanel, stride);
      panel += panels;
    }
  }
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

void multiply_int8_rows(const Int8Rows& a) {
  const int tile_rows = a.vnni ? kVnniTileRows : kMostRows;
  // Panels in small groups outside, rows inside: a group's weights stay in the cache while the rows
  // pass.
  const int64_t group = a.rows <= tile_rows ? a.panel_end - a.panel_begin : 8;
  alignas(64) int32_t sums[kTileSums];
  for (int64_t begin = a.panel_begin; begin < a.panel_end; begin += group) {
    const int64_t end = std::min(begin + group, a.panel_end);
    for (int64_t row = 0; row < a.rows; row += tile_rows) {
      const int rows = static_cast<int>(std::min<int64_t>(a.rows - row, tile_rows));
      const int tile = a.vnni ? vnni_tile_panels(rows) : tile_panels(rows);
      for (int64_t panel = begin; panel < end;) {
        const int panels = end - panel >= tile ? tile : 1;
        if (a.vnni) {
          vnni_sums(a, row, rows, panel, panels, sums);
        } else {
          byte_sums(a, row, rows, panel, panels, sums, panels * kPanel);
        }
        finish_int8(a, row, rows, panel, panels, sums);
        panel += panels;
      }
    }
  }
}

void quantize_one_row(const float* x, int64_t inputs, int64_t stride, int32_t limit, uint8_t* q,
                      float* scale, int32_t* zero) {
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
  const float step = std::max((maximum - minimum) / static_cast<float>(limit), 1e-30f);
  const auto offset = static_cast<int32_t>(std::lrint(-minimum / step));
  const float inverse = 1.f / step;
  const hn::RebindToSigned<F32> d32;
  const hn::Rebind<uint8_t, F32> d8;
  const auto factor = hn::Set(d, inverse);
  const auto shift = hn::Set(d32, offset);
  const auto largest = hn::Set(d32, limit);
  for (k = 0; k + kLanes <= inputs; k += kLanes) {
    const auto rounded = hn::Add(hn::NearestInt(hn::Mul(hn::LoadU(d, x + k), factor)), shift);
    hn::StoreU(hn::DemoteTo(d8, hn::Min(rounded, largest)), d8, q + k);
  }
  for (; k < inputs; ++k) {
    q[k] = static_cast<uint8_t>(
        std::clamp<int32_t>(static_cast<int32_t>(std::lrint(x[k] * inverse)) + offset, 0, limit));
  }
  for (; k < stride; ++k) q[k] = static_cast<uint8_t>(offset);
  *scale = step;
  *zero = offset;
}

void quantize_one_output(const float* w, int64_t inputs, int32_t limit, int8_t* q, float* scale,
                         int32_t* sum) {
  const F32 d;
  auto highest = hn::Zero(d);
  int64_t k = 0;
  for (; k + kLanes <= inputs; k += kLanes)
    highest = hn::Max(highest, hn::Abs(hn::LoadU(d, w + k)));
  float largest = hn::GetLane(hn::MaxOfLanes(d, highest));
  for (; k < inputs; ++k) largest = std::max(largest, std::abs(w[k]));
  const float step = std::max(largest / static_cast<float>(limit), 1e-30f);
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

int32_t byte_limit() { return isa() >= Isa::kVnni ? 255 : 127; }
int32_t weight_limit() { return isa() >= Isa::kVnni ? 127 : 63; }

HWY_EXPORT(multiply_int8_rows);
HWY_EXPORT(multiply_tile_of_bytes);
HWY_EXPORT(quantize_one_row);
HWY_EXPORT(quantize_one_output);

void multiply_rows(const Int8Rows& args) { HWY_DYNAMIC_DISPATCH(multiply_int8_rows)(args); }

void multiply_tile(const Int8Rows& args, int32_t* sums, int64_t stride) {
  if (!args.vnni) return HWY_DYNAMIC_DISPATCH(multiply_tile_of_bytes)(args, sums, stride);
  const auto rows = static_cast<int>(args.rows);
  assert(stride == kPanel * vnni_tile_panels(rows) &&
         args.panel_end - args.panel_begin == vnni_tile_panels(rows));
  vnni_sums(args, 0, rows, args.panel_begin, vnni_tile_panels(rows), sums);
}

void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, int64_t stride,
                   int32_t limit, uint8_t* q, float* scale, int32_t* zero) {
  for (int64_t r = 0; r < rows; ++r) {
    HWY_DYNAMIC_DISPATCH(quantize_one_row)
    (x + r * x_stride, inputs, stride, limit, q + r * stride, scale + r, zero + r);
  }
}

void quantize_weights(const float* w, int64_t inputs, int32_t limit, int8_t* q, float* scale,
                      int32_t* sum) {
  HWY_DYNAMIC_DISPATCH(quantize_one_output)(w, inputs, limit, q, scale, sum);
}

}  // namespace parley::nn::kernels
#endif
