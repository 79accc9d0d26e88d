// Rows times packed matrices (kernels.h), by Highway: f32 and bf16 weights.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_matrix.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "parley/core/nn/cpu/epilogue-inl.h"
#include "parley/core/nn/cpu/kernels.h"

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

// Inputs [begin, end) of a product. Sums of the inputs before them, and for those after them, are
// kept for a strip of rows and a group of panels.
struct Block {
  int64_t begin, end;
  float* sums;  // [rows of the strip, kGroup * kPanel]
  int64_t first_row, first_panel;

  float* at(int64_t row, int64_t panel) const {
    return sums + ((row - first_row) * kGroup + panel - first_panel) * kPanel;
  }
};

template <int R, int P, class W, bool kAhead>
HWY_INLINE void float_tile(const FloatRows& a, const Block& block, int64_t row, int64_t panel) {
  const F32 d;
  hn::Vec<F32> sum[R][P][kVectors];
  for (int r = 0; r < R; ++r) {
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < kVectors; ++v)
        sum[r][p][v] =
            block.begin == 0 ? hn::Zero(d) : hn::Load(d, block.at(row + r, panel + p) + v * kLanes);
    }
  }
  const int64_t panel_size = a.inputs * kPanel;
  const int64_t run = a.inputs / a.taps;
  const W* w = static_cast<const W*>(a.panels) + panel * panel_size + block.begin * kPanel;
  [[maybe_unused]] std::conditional_t<kAhead, Ahead<P, W>, char> ahead = [&] {
    if constexpr (kAhead) {
      return Ahead<P, W>(a, row, w);
    } else {
      return char{};
    }
  }();
  for (int64_t input = block.begin; input < block.end;) {
    const int64_t tap = input / run;
    const int64_t count = std::min((tap + 1) * run, block.end) - input;
    const float* x = a.x + row * a.x_stride + tap * a.tap_stride + (input - tap * run);
    for (int64_t k = 0; k < count; ++k, w += kPanel) {
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
    input += count;
  }
  const bool last = block.end == a.inputs;
  const bool plain = !a.epilogue.bias && !a.epilogue.gelu && !a.epilogue.accumulate &&
                     (panel + P) * kPanel <= a.outputs;
  for (int r = 0; r < R; ++r) {
    float* out = a.out + (row + r) * a.out_stride;
    for (int p = 0; p < P; ++p) {
      for (int v = 0; v < kVectors; ++v) {
        const int64_t column = (panel + p) * kPanel + v * kLanes;
        if (!last) {
          hn::Store(sum[r][p][v], d, block.at(row + r, panel + p) + v * kLanes);
        } else if (plain) {
          hn::StoreU(sum[r][p][v], d, out + column);
        } else {
          finish(d, sum[r][p][v], a.epilogue, column, a.outputs, out);
        }
      }
    }
  }
}

template <int R, class W, bool kAhead = false>
HWY_NOINLINE void float_panels(const FloatRows& a, const Block& block, int64_t row, int64_t begin,
                               int64_t end) {
  constexpr int kTile = panels_for(R);
  int64_t panel = begin;
  for (; panel + kTile <= end; panel += kTile)
    float_tile<R, kTile, W, kAhead>(a, block, row, panel);
  for (; panel < end; ++panel) float_tile<R, 1, W, kAhead>(a, block, row, panel);
}

// Rows [row, row_end) times panels [begin, end).
template <class W>
void float_strip(const FloatRows& a, const Block& block, int64_t row, int64_t row_end,
                 int64_t begin, int64_t end) {
  for (; row + kMaxRows <= row_end; row += kMaxRows) {
    if (a.prefetch) {
      float_panels<kMaxRows, W, true>(a, block, row, begin, end);
    } else {
      float_panels<kMaxRows, W>(a, block, row, begin, end);
    }
  }
  switch (row_end - row) {
    case 11:
      float_panels<HWY_MIN(kMaxRows, 11), W>(a, block, row, begin, end);
      break;
    case 10:
      float_panels<HWY_MIN(kMaxRows, 10), W>(a, block, row, begin, end);
      break;
    case 9:
      float_panels<HWY_MIN(kMaxRows, 9), W>(a, block, row, begin, end);
      break;
    case 8:
      float_panels<HWY_MIN(kMaxRows, 8), W>(a, block, row, begin, end);
      break;
    case 7:
      float_panels<HWY_MIN(kMaxRows, 7), W>(a, block, row, begin, end);
      break;
    case 6:
      float_panels<HWY_MIN(kMaxRows, 6), W>(a, block, row, begin, end);
      break;
    case 5:
      float_panels<HWY_MIN(kMaxRows, 5), W>(a, block, row, begin, end);
      break;
    case 4:
      float_panels<HWY_MIN(kMaxRows, 4), W>(a, block, row, begin, end);
      break;
    case 3:
      float_panels<HWY_MIN(kMaxRows, 3), W>(a, block, row, begin, end);
      break;
    case 2:
      float_panels<2, W>(a, block, row, begin, end);
      break;
    case 1:
      float_panels<1, W>(a, block, row, begin, end);
      break;
    default:
      break;
  }
}

// Many rows pass in strips, and their inputs in blocks: a block of a group's weights stays in the
// second cache, its rows in the first.
constexpr int64_t kStrip = 96;
constexpr int64_t kBlockInputs = 512;

template <class W>
void float_rows(const FloatRows& a) {
  const bool many = a.rows > kMaxRows && !a.prefetch;
  const int64_t strip = many ? kStrip : a.rows;
  const int64_t blocks = many ? (a.inputs + kBlockInputs - 1) / kBlockInputs : 1;
  const int64_t step = (a.inputs + blocks - 1) / blocks;
  HWY_ALIGN float sums[kStrip * kGroup * kPanel];
  // Panels in small groups outside, rows inside: a group's weights stay in the cache while the rows
  // pass.
  for (int64_t panel = a.panel_begin; panel < a.panel_end; panel += kGroup) {
    const int64_t panel_end = std::min(panel + kGroup, a.panel_end);
    for (int64_t row = 0; row < a.rows; row += strip) {
      for (int64_t begin = 0; begin < a.inputs; begin += step) {
        const Block block{.begin = begin,
                          .end = std::min(begin + step, a.inputs),
                          .sums = sums,
                          .first_row = row,
                          .first_panel = panel};
        float_strip<W>(a, block, row, std::min(row + strip, a.rows), panel, panel_end);
      }
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

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(multiply_float_rows);
void multiply_rows(const FloatRows& args) { HWY_DYNAMIC_DISPATCH(multiply_float_rows)(args); }

}  // namespace parley::nn::kernels
#endif
