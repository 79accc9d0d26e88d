// Sums of int8 products by AVX-512 VNNI, which Highway 1.0 does not offer: vpdpbusd multiplies 64
// unsigned by 64 signed bytes and adds each four neighbouring products to one of 16 sums.
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/cpu/vnni-inl.h"

namespace parley::nn::kernels {

namespace {

template <int R, int P>
PARLEY_VNNI void tile(const Int8Rows& a, int64_t row, int64_t panel, int32_t* sums) {
  __m512i sum[R][P];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) sum[r][p] = _mm512_setzero_si512();
  }
  const int64_t panel_size = kPanel * a.inputs;
  const int8_t* w = a.panels + panel * panel_size;
  const uint8_t* q = a.x.q + row * a.x.stride;
  for (int64_t k = 0; k < a.inputs; k += 4) {
    __m512i weights[P];
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) weights[p] = _mm512_loadu_si512(w + p * panel_size + k * kPanel);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512i four = broadcast_four(q + r * a.x.stride + k);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], four, weights[p]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) _mm512_storeu_si512(sums + (r * P + p) * kPanel, sum[r][p]);
  }
}

template <int R>
void tile_rows(const Int8Rows& a, int64_t row, int64_t panel, int panels, int32_t* sums) {
  if (panels == vnni_tile_panels(R)) {
    tile<R, vnni_tile_panels(R)>(a, row, panel, sums);
  } else {
    tile<R, 1>(a, row, panel, sums);
  }
}

}  // namespace

void vnni_sums(const Int8Rows& a, int64_t row, int rows, int64_t panel, int panels, int32_t* sums) {
  using TileRows = void (*)(const Int8Rows&, int64_t, int64_t, int, int32_t*);
  static constexpr TileRows kTileRows[kVnniTileRows] = {
      tile_rows<1>, tile_rows<2>, tile_rows<3>, tile_rows<4>,  tile_rows<5>,  tile_rows<6>,
      tile_rows<7>, tile_rows<8>, tile_rows<9>, tile_rows<10>, tile_rows<11>, tile_rows<12>};
  kTileRows[rows - 1](a, row, panel, panels, sums);
}

}  // namespace parley::nn::kernels
