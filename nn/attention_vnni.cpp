#include "nn/attention_vnni.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/kernels.h"

namespace parley::nn::vnni {

using kernels::kPanel;

namespace {

#define PARLEY_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

constexpr int64_t kMaxBlocks = kMaxPositions / kBlockKeys;
constexpr int kVectors = 4;  // of 16 keys, or of 16 dimensions
constexpr int64_t kBlockBytes = kBlockKeys * kHeadDim;

// 255 * 2^x for x <= 0, to four digits, which is finer than the bytes that it becomes: a polynomial
// of x - floor(x), scaled by 2^floor(x), which is what scalef makes of x.
PARLEY_VNNI inline __m512 exp2_to_byte(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(255 * 0.07802457f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(255 * 0.2260672f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(255 * 0.69583347f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(255 * 0.99992523f));
  return _mm512_scalef_ps(p, x);
}

// 2^x for x <= 0, to seven digits.
PARLEY_VNNI inline __m512 exp2_fine(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-100.f));
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(1.540353e-4f);  // ln(2)^k / k!
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.333356e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.618129e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550411e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240226507f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693147181f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.f));
  return _mm512_scalef_ps(p, n);
}

// What the first pass leaves behind for a row of queries.
struct Row {
  alignas(64) uint8_t probabilities[kMaxPositions];  // relative to the block's largest
  alignas(64) int32_t sums[kMaxBlocks][16];          // of a block's probabilities, in 16 parts
  alignas(64) float block_max[kMaxBlocks];  // log2 of the block's largest probability, before
                                            // normalization
};

struct Query {
  alignas(64) uint8_t bytes[kTileRows][kHeadDim];
  float scale[kTileRows];  // of the integer products, log2(e) / sqrt(64) included
};

// sums[row][n] = sum over 64 inputs of rows[row] and the 64 outputs of one packed block.
inline void multiply_block(const uint8_t* rows, int64_t stride, const int8_t* block,
                           int32_t (*sums)[64]) {
  kernels::Int8Rows product{};
  product.x = {.q = rows, .stride = stride, .scale = nullptr, .zero = nullptr};
  product.panels = block;
  product.inputs = 64;
  static_assert(kernels::vnni_tile_panels(kTileRows) * kernels::kPanel == 64);
  kernels::vnni_sums(product, 0, kTileRows, 0, 64 / kernels::kPanel, sums[0]);
}

// Four vectors of integers in [0, 255] as 64 bytes in their order.
PARLEY_VNNI inline __m512i pack_bytes(const __m512i* v) {
  const __m512i words =
      _mm512_packus_epi32(v[0], v[1]);  // within each quarter: 4 of v[0], 4 of v[1]
  const __m512i more = _mm512_packus_epi32(v[2], v[3]);
  const __m512i bytes = _mm512_packus_epi16(words, more);  // within each quarter: 4 of each
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, bytes);
}

// Scores of a row and a block of keys become probabilities relative to the largest of them.
// key_scale is 0 beyond the last key; `valid`, how many keys there are, matters in the last block
// only.
PARLEY_VNNI void score_block(const int32_t* sums, const int32_t* offset, const float* key_scale,
                             float query_scale, int64_t valid, Row& row, int64_t block) {
  __m512 score[kVectors];
  const __m512 scale = _mm512_set1_ps(query_scale);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m512i sum =
        _mm512_add_epi32(_mm512_loadu_si512(sums + v * 16), _mm512_loadu_si512(offset + v * 16));
    score[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(key_scale + v * 16));
  }
  if (valid < kBlockKeys) {
    for (int v = 0; v < kVectors; ++v) {
      const int64_t count = std::clamp<int64_t>(valid - v * 16, 0, 16);
      score[v] = _mm512_mask_mov_ps(_mm512_set1_ps(-1e30f),
                                    static_cast<__mmask16>((1u << count) - 1), score[v]);
    }
  }
  const __m512 largest =
      _mm512_max_ps(_mm512_max_ps(score[0], score[1]), _mm512_max_ps(score[2], score[3]));
  const float top = _mm512_reduce_max_ps(largest) * query_scale;
  const __m512 tops = _mm512_set1_ps(top);
  __m512i byte[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v)
    byte[v] = _mm512_cvtps_epi32(exp2_to_byte(_mm512_fmsub_ps(score[v], scale, tops)));
  const __m512i bytes = pack_bytes(byte);
  _mm512_store_si512(row.probabilities + block * kBlockKeys, bytes);
  row.block_max[block] = top;
  _mm512_store_si512(row.sums[block],
                     _mm512_dpbusd_epi32(_mm512_setzero_si512(), bytes, _mm512_set1_epi8(1)));
}

// mixed += weight * sums, for the 64 dimensions.
PARLEY_VNNI void mix_block(const int32_t* sums, float weight, float* mixed) {
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m512 part = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + v * 16));
    _mm512_storeu_ps(mixed + v * 16, _mm512_fmadd_ps(part, _mm512_set1_ps(weight),
                                                     _mm512_loadu_ps(mixed + v * 16)));
  }
}

// The weights that blocks have within their row, and the sum of all probabilities by them.
PARLEY_VNNI float weigh_blocks(const Row& row, int64_t blocks, float* weights) {
  const float top = *std::max_element(row.block_max, row.block_max + blocks);
  __m512 total = _mm512_setzero_ps();
  for (int64_t begin = 0; begin < blocks; begin += 16) {
    const __m512 relative =
        _mm512_sub_ps(_mm512_loadu_ps(row.block_max + begin), _mm512_set1_ps(top));
    _mm512_storeu_ps(weights + begin, exp2_fine(_mm512_min_ps(relative, _mm512_setzero_ps())));
  }
  for (int64_t block = 0; block < blocks; ++block) {
    total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(row.sums[block])),
                            _mm512_set1_ps(weights[block]), total);
  }
  return _mm512_reduce_add_ps(total);
}

PARLEY_VNNI void quantize_query(const float* q, int row, Query& query) {
  __m512 value[kVectors];
  __m512 largest = _mm512_setzero_ps();
  for (int v = 0; v < kVectors; ++v) {
    value[v] = _mm512_loadu_ps(q + v * 16);
    largest = _mm512_max_ps(largest, _mm512_abs_ps(value[v]));
  }
  const float step = std::max(_mm512_reduce_max_ps(largest) / 127.f, 1e-30f);
  const __m512 inverse = _mm512_set1_ps(1.f / step);
  for (int v = 0; v < kVectors; ++v) {
    const __m512i shifted = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(value[v], inverse)),
                                             _mm512_set1_epi32(128));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(query.bytes[row] + v * 16),
                     _mm512_cvtusepi32_epi8(shifted));
  }
  query.scale[row] = step * 1.44269504f / 8.f;
}

}  // namespace

Head::Head(int64_t positions)
    : positions_(positions),
      blocks_((positions + kBlockKeys - 1) / kBlockKeys),
      keys_(static_cast<size_t>(blocks_ * kBlockBytes)),
      key_offset_(static_cast<size_t>(blocks_ * kBlockKeys) * sizeof(int32_t)),
      key_scale_(static_cast<size_t>(blocks_ * kBlockKeys) * sizeof(float)),
      values_(static_cast<size_t>(blocks_ * kBlockBytes)),
      value_scale_(kHeadDim * sizeof(float)) {}

void Head::pack(const float* k, const float* v, int64_t stride) {
  for (int64_t t = 0; t < positions_; ++t) {
    int8_t row[kHeadDim];
    int32_t sum = 0;
    kernels::quantize_weights(k + t * stride, kHeadDim, row, key_scale_.as<float>() + t, &sum);
    key_offset_.as<int32_t>()[t] = -128 * sum;
    int8_t* target = keys_.as<int8_t>() + t / kPanel * kPanel * kHeadDim + t % kPanel * 4;
    for (int64_t d = 0; d < kHeadDim; d += 4) std::memcpy(target + d * kPanel, row + d, 4);
  }
  pack_values(v, stride);
}

PARLEY_VNNI void Head::pack_values(const float* v, int64_t stride) {
  for (int64_t dim = 0; dim < kHeadDim; dim += kPanel) {
    __m512 largest = _mm512_set1_ps(1e-28f);
    for (int64_t t = 0; t < positions_; ++t)
      largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(v + t * stride + dim)));
    const __m512 step = _mm512_div_ps(largest, _mm512_set1_ps(127.f));
    _mm512_storeu_ps(value_scale_.as<float>() + dim, step);
    const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(127.f), largest);
    for (int64_t t = 0; t < positions_; ++t) {
      alignas(16) int8_t bytes[kPanel];
      const __m512i rounded =
          _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(v + t * stride + dim), inverse));
      _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm512_cvtsepi32_epi8(rounded));
      // Within a block: panels of 16 dimensions, in them steps of 4 keys.
      int8_t* target = values_.as<int8_t>() + t / kBlockKeys * kBlockBytes + dim * kBlockKeys +
                       t % kBlockKeys / 4 * 64 + t % 4;
      for (int64_t d = 0; d < kPanel; ++d) target[d * 4] = bytes[d];
    }
  }
}

PARLEY_VNNI void Head::attend(const float* q, int64_t stride, int rows, float* out,
                              int64_t out_stride) const {
  Query query;
  for (int r = 0; r < kTileRows; ++r)
    quantize_query(q + std::min(r, rows - 1) * stride, r, query);  // the tile is always whole
  Row state[kTileRows];
  alignas(64) int32_t sums[kTileRows][64];
  for (int64_t block = 0; block < blocks_; ++block) {
    const int64_t key = block * kBlockKeys;
    multiply_block(query.bytes[0], kHeadDim, keys_.as<int8_t>() + block * kBlockBytes, sums);
    for (int r = 0; r < rows; ++r) {
      score_block(sums[r], key_offset_.as<int32_t>() + key, key_scale_.as<float>() + key,
                  query.scale[r], positions_ - key, state[r], block);
    }
  }
  float weights[kTileRows][kMaxBlocks];
  float totals[kTileRows];
  for (int r = 0; r < rows; ++r) totals[r] = weigh_blocks(state[r], blocks_, weights[r]);
  alignas(64) float mixed[kTileRows][kHeadDim] = {};
  for (int64_t block = 0; block < blocks_; ++block) {
    multiply_block(state[0].probabilities + block * kBlockKeys, sizeof(Row),
                   values_.as<int8_t>() + block * kBlockBytes, sums);
    for (int r = 0; r < rows; ++r) mix_block(sums[r], weights[r][block], mixed[r]);
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      const __m512 scale = _mm512_div_ps(_mm512_loadu_ps(value_scale_.as<float>() + v * 16),
                                         _mm512_set1_ps(totals[r]));
      _mm512_storeu_ps(out + r * out_stride + v * 16,
                       _mm512_mul_ps(_mm512_loadu_ps(mixed[r] + v * 16), scale));
    }
  }
}

}  // namespace parley::nn::vnni
