// Sums of compressed weights times bytes by AVX-512 VNNI, unpacked in registers
// (kernels_compressed.h).
#include "parley/core/nn/cpu/kernels_compressed.h"
#include "parley/core/nn/cpu/vnni-inl.h"

namespace parley::nn::kernels {

namespace {

struct Quads {
  __m512i low, high;  // of 8 inputs
};

// Quads 2 pair and 2 pair + 1 of a block.
template <Form F>
PARLEY_VNNI inline Quads load_quads(const uint8_t* block, int pair,
                                    [[maybe_unused]] __m512i table) {
  if constexpr (F == Form::kInt8Block) {
    return {_mm512_loadu_si512(block + 2 * pair * kQuadBytes),
            _mm512_loadu_si512(block + (2 * pair + 1) * kQuadBytes)};
  } else {
    const __m512i both = _mm512_loadu_si512(block + pair * kQuadBytes);
    if constexpr (F == Form::kInt4Block) {  // 16 times the weights
      const __m512i mask = _mm512_set1_epi8(static_cast<char>(0xf0));
      return {_mm512_and_si512(_mm512_slli_epi16(both, 4), mask), _mm512_and_si512(both, mask)};
    } else {
      const __m512i mask = _mm512_set1_epi8(15);
      return {_mm512_shuffle_epi8(table, _mm512_and_si512(both, mask)),
              _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(both, 4), mask))};
    }
  }
}

template <int R, int P>
PARLEY_VNNI inline void clear(__m512i (&sum)[R][P]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) sum[r][p] = _mm512_setzero_si512();
  }
}

// Adds one block of P panels, `stride` bytes apart.
template <Form F, int R, int P>
PARLEY_VNNI inline void add_block(const uint8_t* block, int64_t stride, const uint8_t* q,
                                  int64_t q_stride, const __m512i* tables, __m512i (&sum)[R][P]) {
#pragma GCC unroll 4
  for (int pair = 0; pair < 4; ++pair) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const Quads w = load_quads<F>(block + p * stride, pair, tables[p]);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const uint8_t* eight = q + r * q_stride + 8 * pair;
        sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], broadcast_four(eight), w.low);
        sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], broadcast_four(eight + 4), w.high);
      }
    }
  }
}

template <Form F, int R, int P>
PARLEY_VNNI void block_tile(const CompressedRows& a, int64_t row, int64_t panel, float* sums) {
  constexpr int64_t kPairBytes = 2 * block_bytes(F) + kQuadBytes;
  const int64_t stride = panel_bytes(F, a.matrix.inputs);
  const uint8_t* pair = a.matrix.panels + panel * stride;
  const uint8_t* q = a.x.q + row * a.x.stride;
  const __m512i no_tables[P] = {};
  __m512 total[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) total[r][p] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < a.matrix.inputs; k += 2 * kBlockInputs, pair += kPairBytes) {
    for (int half = 0; half < 2; ++half) {
      __m512i sum[R][P];
      clear(sum);
      add_block<F>(pair + half * block_bytes(F), stride, q + k + half * kBlockInputs, a.x.stride,
                   no_tables, sum);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const auto* halves =
            reinterpret_cast<const __m256i*>(pair + p * stride + 2 * block_bytes(F) + half * 32);
        const __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
          total[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[r][p]), scale, total[r][p]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) _mm512_storeu_ps(sums + (r * P + p) * kPanel, total[r][p]);
  }
}

template <int R, int P>
PARLEY_VNNI void palette_tile(const CompressedRows& a, int64_t row, int64_t panel, float* sums) {
  constexpr Form kForm = Form::kPalette4;
  const int64_t stride = panel_bytes(kForm, a.matrix.inputs);
  const uint8_t* block = a.matrix.panels + panel * stride;
  __m512i tables[P];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
    const auto* palette = reinterpret_cast<const __m128i*>(a.matrix.palette + (panel + p) * 16);
    tables[p] = _mm512_broadcast_i32x4(_mm_loadu_si128(palette));
  }
  __m512i sum[R][P];
  clear(sum);
  for (int64_t k = 0; k < a.matrix.inputs; k += kBlockInputs, block += block_bytes(kForm))
    add_block<kForm>(block, stride, a.x.q + row * a.x.stride + k, a.x.stride, tables, sum);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
      _mm512_storeu_ps(sums + (r * P + p) * kPanel, _mm512_cvtepi32_ps(sum[r][p]));
  }
}

template <int R, int P>
void tile(const CompressedRows& a, int64_t row, int64_t panel, float* sums) {
  switch (a.matrix.form) {
    case Form::kInt8Block:
      return block_tile<Form::kInt8Block, R, P>(a, row, panel, sums);
    case Form::kInt4Block:
      return block_tile<Form::kInt4Block, R, P>(a, row, panel, sums);
    case Form::kPalette4:
      return palette_tile<R, P>(a, row, panel, sums);
    default:
      return;
  }
}

template <int R>
void tile_rows(const CompressedRows& a, int64_t row, int64_t panel, int panels, float* sums) {
  if (panels == compressed_tile_panels(R)) {
    tile<R, compressed_tile_panels(R)>(a, row, panel, sums);
  } else {
    tile<R, 1>(a, row, panel, sums);
  }
}

}  // namespace

void vnni_compressed_sums(const CompressedRows& a, int64_t row, int rows, int64_t panel, int panels,
                          float* sums) {
  using TileRows = void (*)(const CompressedRows&, int64_t, int64_t, int, float*);
  static constexpr TileRows kTileRows[kVnniTileRows] = {
      tile_rows<1>, tile_rows<2>, tile_rows<3>, tile_rows<4>,  tile_rows<5>,  tile_rows<6>,
      tile_rows<7>, tile_rows<8>, tile_rows<9>, tile_rows<10>, tile_rows<11>, tile_rows<12>};
  kTileRows[rows - 1](a, row, panel, panels, sums);
}

}  // namespace parley::nn::kernels
