// Rows times matrices that stay compressed: their weights are unpacked in registers or, 32 inputs
// of 16 outputs at a time, in the first-level cache. Internal to nn/ (kernels_compressed.cpp,
// compressed_vnni.cpp).
//
// Panels of 16 outputs as in kernels.h. Inputs are taken four at a time: a quad is [16 outputs][4
// inputs] bytes. A block is 32 inputs, 8 quads; inputs are padded with zeros to whole blocks.
#pragma once

#include <cstdint>

#include "parley/core/nn/cpu/kernels.h"

namespace parley::nn::kernels {

enum class Form {
  kInt8,       // quads
  kInt8Block,  // pairs of blocks: 16 quads, then the f16 scales [2][16]
  kInt4Block,  // pairs of blocks: 8 x [16][4] bytes, then the scales. The low nibbles of 64 bytes
               // are one quad, the high ones the next, in two's complement
  kPalette4,   // [16][4] bytes as in kInt4Block, indices into the panel's palette
  kPalette8,   // quads of indices; only for products in f32
};

inline constexpr int64_t kBlockInputs = 32;
inline constexpr int64_t kQuadBytes = 64;
// Inputs that a form is padded to.
constexpr int64_t padding_of(Form form) {
  return form == Form::kInt8 || form == Form::kPalette8 ? 4
         : form == Form::kPalette4                      ? kBlockInputs
                                                        : 2 * kBlockInputs;
}
constexpr int64_t block_bytes(Form form) {  // without scales
  return form == Form::kInt4Block || form == Form::kPalette4 ? 4 * kQuadBytes : 8 * kQuadBytes;
}
constexpr bool has_block_scales(Form form) {
  return form == Form::kInt8Block || form == Form::kInt4Block;
}
constexpr int64_t panel_bytes(Form form, int64_t padded_inputs) {
  if (!has_block_scales(form)) return padded_inputs * block_bytes(form) / kBlockInputs;
  return padded_inputs / (2 * kBlockInputs) * (2 * block_bytes(form) + kQuadBytes);
}

struct CompressedMatrix {
  Form form;
  const uint8_t* panels;
  int64_t inputs;  // padded
  int64_t outputs;
  const float* scale;          // [panels * 16], times the block's scale
  const float* offset;         // [panels * 16], sum over the inputs of what `scale` multiplies
  const int8_t* palette;       // kPalette4: [panels][16], what `scale` multiplies
  const float* exact_palette;  // palettes: [panels][16 or 256], for products in f32
};

// out[r][n] = epilogue(x.scale[r] scale[n] sum_k (x.q[r][k] - x.zero[r]) w[n][k]) for kInt8Block,
// kInt4Block and kPalette4.
struct CompressedRows {
  QuantizedRows x;
  int64_t rows;
  CompressedMatrix matrix;
  int64_t panel_begin;
  int64_t panel_end;
  bool vnni;  // the CPU has AVX-512 VNNI
  Epilogue epilogue;
  float* out;
  int64_t out_stride;
};
void multiply_rows(const CompressedRows& args);

// out[r][n] = epilogue(scale[n] sum_k x[r][k] w[n][k]) for every form.
struct ExpandedRows {
  const float* x;
  int64_t x_stride;
  int64_t x_inputs;  // without padding
  int64_t rows;
  CompressedMatrix matrix;
  int64_t panel_begin;
  int64_t panel_end;
  Epilogue epilogue;
  float* out;
  int64_t out_stride;
};
void multiply_rows(const ExpandedRows& args);

// sums[r][p * 16 + n] = sum over k of q[row + r][k] w[n][k], by AVX-512 VNNI, for rows <=
// kVnniTileRows and panels either compressed_tile_panels(rows) or 1: what fits the registers.
constexpr int compressed_tile_panels(int rows) {
  return rows <= 2 ? 4 : rows == 3 ? 3 : rows <= 6 ? 2 : 1;
}
inline constexpr int kCompressedTileSums = 12 * static_cast<int>(kPanel);
void vnni_compressed_sums(const CompressedRows& args, int64_t row, int rows, int64_t panel,
                          int panels, float* sums);

}  // namespace parley::nn::kernels
