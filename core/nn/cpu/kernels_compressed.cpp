// Rows times compressed matrices (kernels_compressed.h), by Highway.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_compressed.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include "parley/core/nn/cpu/kernels_compressed.h"

#include <hwy/highway.h>

#include <algorithm>

#include "parley/core/nn/cpu/bytes-inl.h"
#include "parley/core/nn/cpu/epilogue-inl.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

constexpr int kQuads = static_cast<int>(kBlockInputs) / 4;
constexpr int64_t kBlockWeights = kBlockInputs * kPanel;

const uint8_t* block_at(const CompressedMatrix& m, int64_t panel, int64_t block) {
  const uint8_t* at = m.panels + panel * panel_bytes(m.form, m.inputs);
  if (!has_block_scales(m.form)) return at + block * block_bytes(m.form);
  const int64_t pair_bytes = 2 * block_bytes(m.form) + kQuadBytes;
  return at + block / 2 * pair_bytes + block % 2 * block_bytes(m.form);
}

const uint16_t* block_scales(const CompressedMatrix& m, int64_t panel, int64_t block) {
  const uint8_t* pair = block_at(m, panel, block / 2 * 2);
  return reinterpret_cast<const uint16_t*>(pair + 2 * block_bytes(m.form)) + block % 2 * kPanel;
}

// Both nibbles of 64 bytes as two quads, by take(low or high nibbles in the low half, high half).
template <class Low, class High>
HWY_INLINE void split_nibbles(const uint8_t* packed, int8_t* out, const Low& low,
                              const High& high) {
  const hn::CappedTag<uint8_t, kQuadBytes> d;
  const hn::RebindToSigned<decltype(d)> ds;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < kQuadBytes; i += lanes) {
    const auto both = hn::LoadU(d, packed + i);
    hn::StoreU(hn::BitCast(ds, low(d, both)), ds, out + i);
    hn::StoreU(hn::BitCast(ds, high(d, both)), ds, out + kQuadBytes + i);
  }
}

// The quads of a block as bytes: in place, or unpacked into `buffer`. 4-bit integers become 16
// times what they are, which their scale knows.
const int8_t* quads_of(const CompressedMatrix& m, int64_t panel, int64_t block, int8_t* buffer) {
  const uint8_t* packed = block_at(m, panel, block);
  if (block_bytes(m.form) == 8 * kQuadBytes) return reinterpret_cast<const int8_t*>(packed);
  for (int pair = 0; pair < kQuads / 2; ++pair) {
    int8_t* out = buffer + 2 * pair * kQuadBytes;
    if (m.form == Form::kInt4Block) {
      split_nibbles(
          packed + pair * kQuadBytes, out,
          [](auto d, auto both) { return hn::And(hn::ShiftLeft<4>(both), hn::Set(d, 0xf0)); },
          [](auto d, auto both) { return hn::And(both, hn::Set(d, 0xf0)); });
      continue;
    }
    const auto* palette = reinterpret_cast<const uint8_t*>(m.palette) + panel * 16;
    for (int64_t i = 0; i < kQuadBytes; ++i) {
      const uint8_t both = packed[pair * kQuadBytes + i];
      out[i] = static_cast<int8_t>(palette[both & 15]);
      out[kQuadBytes + i] = static_cast<int8_t>(palette[both >> 4]);
    }
  }
  return buffer;
}

// The f32 scales of a block; ones where the form has none.
void load_block_scales(const CompressedMatrix& m, int64_t panel, int64_t block, float* out) {
  const F32 d;
  const hn::Rebind<hwy::float16_t, F32> d16;
  for (int64_t n = 0; n < kPanel; n += kLanes) {
    if (has_block_scales(m.form)) {
      const auto* scales = reinterpret_cast<const hwy::float16_t*>(block_scales(m, panel, block));
      hn::Store(hn::PromoteTo(d, hn::LoadU(d16, scales + n)), d, out + n);
    } else {
      hn::Store(hn::Set(d, 1.f), d, out + n);
    }
  }
}

// The quads of a block, multiplied with R rows: sums[r][n], exact.
template <int R>
HWY_INLINE void block_sums(const int8_t* w, const uint8_t* q, int64_t stride,
                           int32_t (*sums)[kPanel]) {
  ByteSums sum[R][kByteVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kByteVectors; ++v) sum[r][v] = zero_sums();
  }
  for (int quad = 0; quad < kQuads; ++quad, w += kQuadBytes, q += 4) {
    SignedBytes weights[kByteVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kByteVectors; ++v) weights[v] = load_bytes(w + v * kByteVectorSize);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const UnsignedBytes four = repeat_four(q + r * stride);
#pragma GCC unroll 16
      for (int v = 0; v < kByteVectors; ++v) sum[r][v] = add_products(four, weights[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kByteVectors; ++v) store_sums(sum[r][v], sums[r] + v * kByteVectorSize / 4);
  }
}

// sums[r][n]: after each block the sums are scaled and added in f32.
template <int R>
HWY_INLINE void compressed_sums(const CompressedRows& a, int64_t row, int64_t panel,
                                float (*sums)[kPanel]) {
  const F32 d;
  const hn::RebindToSigned<F32> d32;
  HWY_ALIGN int8_t buffer[kBlockWeights];
  HWY_ALIGN float scales[kPanel];
  HWY_ALIGN int32_t block_sum[R][kPanel];
  const CompressedMatrix& m = a.matrix;
  for (int r = 0; r < R; ++r) std::fill_n(sums[r], kPanel, 0.f);
  for (int64_t block = 0; block < m.inputs / kBlockInputs; ++block) {
    const int8_t* w = quads_of(m, panel, block, buffer);
    load_block_scales(m, panel, block, scales);
    block_sums<R>(w, a.x.q + row * a.x.stride + block * kBlockInputs, a.x.stride, block_sum);
    for (int r = 0; r < R; ++r) {
      for (int64_t n = 0; n < kPanel; n += kLanes) {
        const auto part = hn::ConvertTo(d, hn::Load(d32, block_sum[r] + n));
        hn::StoreU(hn::MulAdd(part, hn::Load(d, scales + n), hn::LoadU(d, sums[r] + n)), d,
                   sums[r] + n);
      }
    }
  }
}

// sums: [rows, panels * 16], to which the scales, zero points and the epilogue are applied.
void finish_compressed(const CompressedRows& a, int64_t row, int rows, int64_t panel, int panels,
                       const float* sums) {
  const F32 d;
  for (int r = 0; r < rows; ++r) {
    const auto zero = hn::Set(d, static_cast<float>(a.x.zero[row + r]));
    const auto scale = hn::Set(d, a.x.scale[row + r]);
    for (int i = 0; i < panels * kPanel; i += kLanes) {
      const int64_t n = panel * kPanel + i;
      const auto sum = hn::LoadU(d, sums + r * panels * kPanel + i);
      const auto centred = hn::NegMulAdd(zero, hn::LoadU(d, a.matrix.offset + n), sum);
      const auto value = hn::Mul(centred, hn::Mul(scale, hn::LoadU(d, a.matrix.scale + n)));
      finish(d, value, a.epilogue, n, a.matrix.outputs, a.out + (row + r) * a.out_stride);
    }
  }
}

template <int R>
HWY_NOINLINE void compressed_tile(const CompressedRows& a, int64_t row, int64_t panel) {
  float sums[R][kPanel];
  compressed_sums<R>(a, row, panel, sums);
  finish_compressed(a, row, R, panel, 1, sums[0]);
}

void multiply_compressed_vnni(const CompressedRows& a) {
  alignas(64) float sums[kCompressedTileSums];
  for (int64_t row = 0; row < a.rows; row += kVnniTileRows) {
    const int rows = static_cast<int>(std::min<int64_t>(a.rows - row, kVnniTileRows));
    for (int64_t panel = a.panel_begin; panel < a.panel_end;) {
      const int tile = compressed_tile_panels(rows);
      const int panels = a.panel_end - panel >= tile ? tile : 1;
      vnni_compressed_sums(a, row, rows, panel, panels, sums);
      finish_compressed(a, row, rows, panel, panels, sums);
      panel += panels;
    }
  }
}

void multiply_compressed_rows(const CompressedRows& a) {
  if (a.vnni) return multiply_compressed_vnni(a);
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t row = 0;
    for (; row + 6 <= a.rows; row += 6) compressed_tile<6>(a, row, panel);
    for (; row + 3 <= a.rows; row += 3) compressed_tile<3>(a, row, panel);
    for (; row < a.rows; ++row) compressed_tile<1>(a, row, panel);
  }
}

uint8_t index_at(const CompressedMatrix& m, const uint8_t* packed, int64_t k, int64_t n) {
  if (m.form == Form::kPalette8) return packed[k / 4 * kQuadBytes + 4 * n + k % 4];
  const uint8_t both = packed[k / 8 * kQuadBytes + 4 * n + k % 4];
  return static_cast<uint8_t>(both >> (k / 4 % 2 * 4) & 15);
}

// The first `count` inputs of a block as f32 [count][16].
void expand_block(const CompressedMatrix& m, int64_t panel, int64_t block, int64_t count,
                  float* out) {
  if (m.form == Form::kPalette4 || m.form == Form::kPalette8) {
    const uint8_t* packed = block_at(m, panel, block);
    const float* palette = m.exact_palette + panel * (m.form == Form::kPalette8 ? 256 : 16);
    for (int64_t k = 0; k < count; ++k) {
      for (int64_t n = 0; n < kPanel; ++n) out[k * kPanel + n] = palette[index_at(m, packed, k, n)];
    }
    return;
  }
  HWY_ALIGN int8_t buffer[kBlockWeights];
  HWY_ALIGN float scales[kPanel];
  const int8_t* w = quads_of(m, panel, block, buffer);
  load_block_scales(m, panel, block, scales);
  const F32 d;
  const hn::RebindToSigned<F32> d32;
  for (int64_t quad = 0; quad < (count + 3) / 4; ++quad) {
    for (int64_t n = 0; n < kPanel; n += kLanes) {
      HWY_ALIGN int32_t fours[kPanel];
      __builtin_memcpy(fours, w + quad * kQuadBytes + 4 * n, sizeof(int32_t) * kLanes);
      const auto four = hn::Load(d32, fours);
      const auto scale = hn::Load(d, scales + n);
      float* to = out + quad * 4 * kPanel + n;
      const auto store = [&](int i, auto bytes) {
        hn::Store(hn::Mul(scale, hn::ConvertTo(d, hn::ShiftRight<24>(bytes))), d, to + i * kPanel);
      };
      store(0, hn::ShiftLeft<24>(four));
      store(1, hn::ShiftLeft<16>(four));
      store(2, hn::ShiftLeft<8>(four));
      store(3, four);
    }
  }
}

template <int R>
HWY_NOINLINE void expanded_tile(const ExpandedRows& a, int64_t row, int64_t panel) {
  const F32 d;
  HWY_ALIGN float weights[kBlockWeights];
  hn::Vec<F32> sum[R][kVectors];
  for (auto& vectors : sum) {
    for (auto& vector : vectors) vector = hn::Zero(d);
  }
  for (int64_t begin = 0; begin < a.x_inputs; begin += kBlockInputs) {
    const int64_t count = std::min(kBlockInputs, a.x_inputs - begin);
    expand_block(a.matrix, panel, begin / kBlockInputs, count, weights);
    const float* x = a.x + row * a.x_stride + begin;
    for (int64_t k = 0; k < count; ++k) {
      for (int r = 0; r < R; ++r) {
        const auto value = hn::Set(d, x[r * a.x_stride + k]);
        for (int v = 0; v < kVectors; ++v)
          sum[r][v] = hn::MulAdd(value, hn::Load(d, weights + k * kPanel + v * kLanes), sum[r][v]);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t n = panel * kPanel + v * kLanes;
      finish(d, hn::Mul(sum[r][v], hn::LoadU(d, a.matrix.scale + n)), a.epilogue, n,
             a.matrix.outputs, a.out + (row + r) * a.out_stride);
    }
  }
}

void multiply_expanded_rows(const ExpandedRows& a) {
  constexpr int kTile = HWY_TARGET == HWY_AVX3 ? 12 : HWY_TARGET == HWY_AVX2 ? 5 : 2;
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t row = 0;
    for (; row + kTile <= a.rows; row += kTile) expanded_tile<kTile>(a, row, panel);
    for (; row < a.rows; ++row) expanded_tile<1>(a, row, panel);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(multiply_compressed_rows);
HWY_EXPORT(multiply_expanded_rows);

void multiply_rows(const CompressedRows& args) {
  HWY_DYNAMIC_DISPATCH(multiply_compressed_rows)(args);
}
void multiply_rows(const ExpandedRows& args) { HWY_DYNAMIC_DISPATCH(multiply_expanded_rows)(args); }

}  // namespace parley::nn::kernels
#endif
