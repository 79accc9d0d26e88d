// Encoder attention in 8 bits (attention_int8.h), by Highway.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/attention_int8.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include "parley/core/nn/cpu/attention_int8.h"

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "parley/core/nn/cpu/bytes-inl.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using int8::Head;
using int8::kBlockKeys;
using int8::kHeadDim;
using F32 = hn::CappedTag<float, 16>;
using I32 = hn::RebindToSigned<F32>;
using Vector = hn::Vec<F32>;
constexpr int kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / 4;
constexpr int kVectors = 64 / kLanes;  // of the keys of a block, or of the dimensions
constexpr int kRows = int8::kTileRows;
constexpr int64_t kMaxBlocks = int8::kMaxPositions / kBlockKeys;
constexpr int64_t kBlockBytes = kBlockKeys * kHeadDim;

// What the first pass leaves behind for a row of queries.
struct Row {
  alignas(64) uint8_t probabilities[int8::kMaxPositions];  // relative to the block's largest
  alignas(64) int32_t sums[kMaxBlocks][16];  // of a block's probabilities, in 16 parts
  alignas(64) float block_max[kMaxBlocks];   // log2 of the block's largest probability, before
                                             // normalization
};

struct QueryBytes {
  alignas(64) uint8_t bytes[kRows][kHeadDim];
  float scale[kRows];  // of the integer products, log2(e) / sqrt(64) included
};

// p 2^x for |x| <= 1/2, to four digits.
HWY_INLINE Vector exp2_polynomial(F32 d, Vector x, float p) {
  auto y = hn::Set(d, 0.05508868f * p);
  y = hn::MulAdd(y, x, hn::Set(d, 0.24260405f * p));
  y = hn::MulAdd(y, x, hn::Set(d, 0.69327624f * p));
  return hn::MulAdd(y, x, hn::Set(d, 0.99992894f * p));
}

// p 2^x for x <= 0, to four digits, which is finer than the bytes that it becomes: a polynomial of
// x less the nearest integer, which the exponent takes. Below 2^-30 it is that.
HWY_INLINE Vector times_exp2(F32 d, Vector x, float p) {
#if HWY_TARGET == HWY_AVX3
  const __m512 f = _mm512_reduce_ps(x.raw, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return Vector{
      _mm512_scalef_ps(exp2_polynomial(d, Vector{f}, p).raw,
                       _mm512_roundscale_ps(x.raw, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))};
#else
  const I32 d32;
  x = hn::Max(x, hn::Set(d, -30.f));
  const auto magic = hn::Set(d, 12582912.f);  // 1.5 * 2^23: what is added to it, is rounded
  const auto shifted = hn::Add(x, magic);
  const auto f = hn::Sub(x, hn::Sub(shifted, magic));
  return hn::BitCast(d, hn::Add(hn::BitCast(d32, exp2_polynomial(d, f, p)),
                                hn::ShiftLeft<23>(hn::BitCast(d32, shifted))));
#endif
}

// To the nearest, for |x| < 2^21. (Highway's own looks for overflow, too.)
HWY_INLINE hn::Vec<I32> nearest(F32 d, Vector x) {
#if HWY_TARGET == HWY_AVX3
  return hn::Vec<I32>{_mm512_cvtps_epi32(x.raw)};
#else
  const I32 d32;
  const auto magic = hn::Set(d, 12582912.f);
  return hn::Sub(hn::BitCast(d32, hn::Add(x, magic)), hn::BitCast(d32, magic));
#endif
}

// sums[row][n] = sum over 64 inputs of rows[row] and the 64 outputs of one packed block.
HWY_INLINE void multiply_block(const uint8_t* rows, int64_t stride, const int8_t* block, bool vnni,
                               int32_t (*sums)[64]) {
  Int8Rows product{};
  product.x = {.q = rows, .stride = stride, .scale = nullptr, .zero = nullptr};
  product.rows = kRows;
  product.panels = block;
  product.inputs = 64;
  product.panel_end = 64 / kPanel;
  product.vnni = vnni;
  multiply_tile(product, sums[0], 64);
}

// Scores of a row and a block of keys become probabilities relative to the largest of them.
// key_scale is 0 beyond the last key; `valid`, how many keys there are, matters in the last block
// only. limit: what the largest becomes.
HWY_INLINE void score_block(const int32_t* sums, const int32_t* offset, const float* key_scale,
                            float query_scale, int64_t valid, float limit, Row& row,
                            int64_t block) {
  const F32 d;
  const I32 d32;
  Vector score[kVectors];
  auto largest = hn::Set(d, -1e30f);
  for (int v = 0; v < kVectors; ++v) {
    const auto sum =
        hn::Add(hn::LoadU(d32, sums + v * kLanes), hn::LoadU(d32, offset + v * kLanes));
    score[v] = hn::Mul(hn::ConvertTo(d, sum), hn::LoadU(d, key_scale + v * kLanes));
  }
  if (valid < kBlockKeys) {
    for (int v = 0; v < kVectors; ++v) {
      const auto index = hn::Iota(d, static_cast<float>(v * kLanes));
      score[v] = hn::IfThenElse(hn::Lt(index, hn::Set(d, static_cast<float>(valid))), score[v],
                                hn::Set(d, -1e30f));
    }
  }
  for (int v = 0; v < kVectors; ++v) largest = hn::Max(largest, score[v]);
  const float top = hn::GetLane(hn::MaxOfLanes(d, largest)) * query_scale;
  const auto scale = hn::Set(d, query_scale);
  const auto tops = hn::Set(d, top);
  hn::Vec<I32> bytes[kVectors];
  auto total = hn::Zero(d32);
  for (int v = 0; v < kVectors; ++v) {
    bytes[v] = nearest(d, times_exp2(d, hn::MulSub(score[v], scale, tops), limit));
    total = hn::Add(total, bytes[v]);
  }
  store_as_bytes(bytes, row.probabilities + block * kBlockKeys);
  hn::Store(total, d32, row.sums[block]);
  row.block_max[block] = top;
}

// mixed += weight * sums, for the 64 dimensions.
HWY_INLINE void mix_block(const int32_t* sums, float weight, float* mixed) {
  const F32 d;
  const I32 d32;
  const auto weights = hn::Set(d, weight);
  for (int i = 0; i < kHeadDim; i += kLanes) {
    const auto part = hn::ConvertTo(d, hn::LoadU(d32, sums + i));
    hn::StoreU(hn::MulAdd(part, weights, hn::LoadU(d, mixed + i)), d, mixed + i);
  }
}

// The weights that blocks have within their row, and the sum of all probabilities by them.
float weigh_blocks(const Row& row, int64_t blocks, float* weights) {
  const F32 d;
  const I32 d32;
  const auto top = hn::Set(d, *std::max_element(row.block_max, row.block_max + blocks));
  for (int64_t i = 0; i < blocks; i += kLanes) {
    const auto below = hn::Min(hn::Sub(hn::LoadU(d, row.block_max + i), top), hn::Zero(d));
    const auto exponent = hn::Mul(hn::Max(below, hn::Set(d, -100.f)), hn::Set(d, 0.693147181f));
    hn::StoreU(hn::Exp(d, exponent), d, weights + i);
  }
  auto total = hn::Zero(d);
  for (int64_t block = 0; block < blocks; ++block) {
    total = hn::MulAdd(hn::ConvertTo(d, hn::Load(d32, row.sums[block])), hn::Set(d, weights[block]),
                       total);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

// half: what is added to make bytes of integers.
void quantize_query(const float* q, int32_t half, uint8_t* bytes, float* scale) {
  const F32 d;
  const I32 d32;
  auto largest = hn::Zero(d);
  for (int i = 0; i < kHeadDim; i += kLanes)
    largest = hn::Max(largest, hn::Abs(hn::LoadU(d, q + i)));
  const float peak = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float step = std::max(peak / static_cast<float>(half - 1), 1e-30f);
  const auto inverse = hn::Set(d, 1.f / step);
  hn::Vec<I32> shifted[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    shifted[v] =
        hn::Add(nearest(d, hn::Mul(hn::LoadU(d, q + v * kLanes), inverse)), hn::Set(d32, half));
  }
  store_as_bytes(shifted, bytes);
  *scale = step * 1.44269504f / 8.f;
}

void attend_int8(const Head& head, const int8::Queries& a) {
  const bool vnni = isa() >= Isa::kVnni;
  const int32_t limit = byte_limit();
  QueryBytes query;
  for (int r = 0; r < kRows; ++r) {  // the tile is always whole
    quantize_query(a.q + std::min(r, a.rows - 1) * a.stride, (limit + 1) / 2, query.bytes[r],
                   query.scale + r);
  }
  Row state[kRows];
  alignas(64) int32_t sums[kRows][64];
  for (int64_t block = 0; block < head.blocks; ++block) {
    const int64_t key = block * kBlockKeys;
    multiply_block(query.bytes[0], kHeadDim, head.keys.as<int8_t>() + block * kBlockBytes, vnni,
                   sums);
    for (int r = 0; r < a.rows; ++r) {
      score_block(sums[r], head.key_offset.as<int32_t>() + key, head.key_scale.as<float>() + key,
                  query.scale[r], head.positions - key, static_cast<float>(limit), state[r], block);
    }
  }
  float weights[kRows][kMaxBlocks];
  float totals[kRows];
  for (int r = 0; r < a.rows; ++r) totals[r] = weigh_blocks(state[r], head.blocks, weights[r]);
  alignas(64) float mixed[kRows][kHeadDim] = {};
  for (int64_t block = 0; block < head.blocks; ++block) {
    multiply_block(state[0].probabilities + block * kBlockKeys, sizeof(Row),
                   head.values.as<int8_t>() + block * kBlockBytes, vnni, sums);
    for (int r = 0; r < a.rows; ++r) mix_block(sums[r], weights[r][block], mixed[r]);
  }
  const F32 d;
  for (int r = 0; r < a.rows; ++r) {
    const auto inverse = hn::Set(d, 1.f / totals[r]);
    for (int i = 0; i < kHeadDim; i += kLanes) {
      const auto scale = hn::Mul(hn::LoadU(d, head.value_scale.as<float>() + i), inverse);
      hn::StoreU(hn::Mul(hn::LoadU(d, mixed[r] + i), scale), d, a.out + r * a.out_stride + i);
    }
  }
}

// Within a block: panels of 16 dimensions, in them steps of 4 keys.
void pack_values(Head& head, const float* v, int64_t stride) {
  const F32 d;
  const I32 d32;
  for (int64_t dim = 0; dim < kHeadDim; dim += kLanes) {
    auto largest = hn::Set(d, 1e-28f);
    for (int64_t t = 0; t < head.positions; ++t)
      largest = hn::Max(largest, hn::Abs(hn::LoadU(d, v + t * stride + dim)));
    hn::StoreU(hn::Div(largest, hn::Set(d, 127.f)), d, head.value_scale.as<float>() + dim);
    const auto inverse = hn::Div(hn::Set(d, 127.f), largest);
    for (int64_t t = 0; t < head.positions; ++t) {
      HWY_ALIGN int32_t rounded[kPanel];
      hn::Store(nearest(d, hn::Mul(hn::LoadU(d, v + t * stride + dim), inverse)), d32, rounded);
      int8_t* target = head.values.as<int8_t>() + t / kBlockKeys * kBlockBytes +
                       dim / kPanel * kPanel * kBlockKeys + t % kBlockKeys / 4 * 64 +
                       dim % kPanel * 4 + t % 4;
      for (int i = 0; i < kLanes; ++i) target[i * 4] = static_cast<int8_t>(rounded[i]);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(attend_int8);
HWY_EXPORT(pack_values);

namespace {

void pack_any_values(int8::Head& head, const float* v, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(pack_values)(head, v, stride);
}
void attend_any(const int8::Head& head, const int8::Queries& queries) {
  HWY_DYNAMIC_DISPATCH(attend_int8)(head, queries);
}

}  // namespace

}  // namespace parley::nn::kernels

namespace parley::nn::int8 {

using kernels::kPanel;

Head::Head(int64_t count)
    : positions(count),
      blocks((count + kBlockKeys - 1) / kBlockKeys),
      keys(static_cast<size_t>(blocks * kBlockKeys * kHeadDim)),
      key_offset(static_cast<size_t>(blocks * kBlockKeys) * sizeof(int32_t)),
      key_scale(static_cast<size_t>(blocks * kBlockKeys) * sizeof(float)),
      values(keys.size()),
      value_scale(kHeadDim * sizeof(float)) {}

void pack(Head& head, const float* k, const float* v, int64_t stride) {
  const int32_t half = (kernels::byte_limit() + 1) / 2;
  for (int64_t t = 0; t < head.positions; ++t) {
    int8_t row[kHeadDim];
    int32_t sum = 0;
    kernels::quantize_weights(k + t * stride, kHeadDim, 127, row, head.key_scale.as<float>() + t,
                              &sum);
    head.key_offset.as<int32_t>()[t] = -half * sum;
    int8_t* target = head.keys.as<int8_t>() + t / kPanel * kPanel * kHeadDim + t % kPanel * 4;
    for (int64_t d = 0; d < kHeadDim; d += 4) std::memcpy(target + d * kPanel, row + d, 4);
  }
  kernels::pack_any_values(head, v, stride);
}

void attend(const Head& head, const Queries& queries) { kernels::attend_any(head, queries); }

}  // namespace parley::nn::int8
#endif
