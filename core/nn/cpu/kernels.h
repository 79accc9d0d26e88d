// The inner loops, one version for each instruction set, chosen at run time (kernels.cpp,
// int8_vnni.cpp). Internal to nn/.
//
// A packed matrix [outputs, inputs] is stored in panels of 16 outputs, so that one vector holds the
// same input of 16 outputs:  float kinds [panel][input][16],  int8 [panel][input / 4][16][4].
// Outputs are padded to whole panels, int8 inputs to a multiple of 4, with zeros.
//
// Every output is summed over the inputs in one order, whatever the number of rows in the call:
// results do not depend on how rows are batched.
#pragma once

#include <cstdint>

#include "parley/core/nn/tensor.h"

namespace parley::nn::kernels {

inline constexpr int64_t kPanel = 16;
inline int64_t panels_of(int64_t outputs) { return (outputs + kPanel - 1) / kPanel; }

// What happens to a product before it is stored.
struct Epilogue {
  const float* bias = nullptr;  // [panels * 16]
  bool gelu = false;            // x * Phi(x), exact form
  bool accumulate = false;      // adds to what `out` holds
};

// out[r][n] = epilogue(sum_k x[r][k] * w[n][k])  for n of panels [panel_begin, panel_end), n <
// outputs.
struct FloatRows {
  const float* x;
  int64_t x_stride;
  int64_t rows;
  const void* panels;  // f32 or bf16
  bool bf16;
  int64_t inputs;
  int64_t outputs;
  int64_t panel_begin;
  int64_t panel_end;
  Epilogue epilogue;
  float* out;
  int64_t out_stride;
  // A row may consist of `taps` runs of inputs / taps values, `tap_stride` apart: the taps of a
  // dilated convolution.
  int64_t taps = 1;
  int64_t tap_stride = 0;
  // The weights are not in the cache, and those of the next product lie behind them: each of both
  // is fetched while the one before it is multiplied (with at least two tiles of rows).
  bool prefetch = false;
};
void multiply_rows(const FloatRows& args);

// Rows as unsigned bytes: x[r][k] ~ scale[r] * (q[r][k] - zero[r]).
struct QuantizedRows {
  const uint8_t* q;  // [rows, stride]
  int64_t stride;    // a multiple of 4
  const float* scale;
  const int32_t* zero;
};
// Without VNNI two products of neighbouring bytes are added in 16 bits: either weights or
// activations have a bit less. Whisper's features suffer half as much from coarser weights, so
// activations are bytes up to 255 where the weights are ours to make, and up to byte_limit() (127)
// where they are signed bytes of the full range. With VNNI both are 255.
int32_t weight_limit();  // of weights that meet activations up to 255: 63, with VNNI 127
int32_t byte_limit();
// Quantizes `rows` rows of x to bytes in [0, limit]; the padding up to `stride` becomes `zero`.
void quantize_rows(const float* x, int64_t x_stride, int64_t rows, int64_t inputs, int64_t stride,
                   int32_t limit, uint8_t* q, float* scale, int32_t* zero);

// One output's weights as signed bytes: w[k] ~ scale * q[k], |q| <= limit; sum: of the bytes.
void quantize_weights(const float* w, int64_t inputs, int32_t limit, int8_t* q, float* scale,
                      int32_t* sum);

// As FloatRows for int8 weights: w[n][k] = weight_scale[n] * panels[n][k]; the products are summed
// exactly in int32.
struct Int8Rows {
  QuantizedRows x;
  int64_t rows;
  const int8_t* panels;
  const float* weight_scale;  // [panels * 16]
  const int32_t* weight_sum;  // [panels * 16], sum over k of the int8 weights
  int64_t inputs;             // a multiple of 4
  int64_t outputs;
  int64_t panel_begin;
  int64_t panel_end;
  bool vnni;  // the CPU has AVX-512 VNNI
  Epilogue epilogue;
  float* out;
  int64_t out_stride;
};
void multiply_rows(const Int8Rows& args);

// The sums alone: sums[r * stride + n] = sum over k of q[r][k] * panels[n][k], exact, for the
// outputs of panels [panel_begin, panel_end) and at most kTileRows rows; with VNNI for just as many
// panels as a tile has.
inline constexpr int kTileRows = 6;
void multiply_tile(const Int8Rows& args, int32_t* sums, int64_t stride);

// sums[r][p * 16 + n] = sum over k of q[row + r][k] * panels[panel + p][k][n], by AVX-512 VNNI
// (int8_vnni.cpp), for rows <= kVnniTileRows and panels either vnni_tile_panels(rows) or 1: what
// fits the registers.
inline constexpr int kVnniTileRows = 12;
constexpr int vnni_tile_panels(int rows) { return rows >= 4 ? 24 / rows : 8; }
inline constexpr int kVnniTileSums = 24 * static_cast<int>(kPanel);
void vnni_sums(const Int8Rows& args, int64_t row, int rows, int64_t panel, int panels,
               int32_t* sums);

// out[r] = (x[r] - mean) / sqrt(variance + epsilon) * weight + bias, one row; out is f32 or bf16.
void layer_norm_row(const float* x, int64_t size, const float* weight, const float* bias,
                    float epsilon, void* out, bool bf16);

// In place over x[0, count): x = exp(scale * x - max); returns the sum. x[count, padded) becomes 0.
float exp_row(float* x, int64_t count, int64_t padded, float scale);
// The same with the result stored as bf16.
float exp_row_bf16(const float* x, int64_t count, int64_t padded, float scale, uint16_t* out);
void add_row(const float* x, int64_t count, float* sum);  // sum += x
void scale_row(float* x, int64_t count, float factor);

// Largest value, its index (the first of equals), and log(sum(exp(x))). All of x[0, count) may be
// -inf except one.
struct Peak {
  float maximum;
  int64_t index;
  float logsumexp;
};
Peak peak(const float* x, int64_t count);
// -inf when there are none.
float maximum(const float* x, int64_t count);

// Attention of a few query rows over keys and values that are stored in segments (blocks of a KV
// cache). keys: [head_dim][capacity] (a vector holds neighbouring positions); values:
// [capacity][head_dim]. f32 or f16.
struct Segment {
  const void* keys;
  const void* values;
  int64_t count;     // positions in use
  int64_t capacity;  // a multiple of 16
};
struct Attention {
  const float* const* queries;  // rows pointers to [head_dim], already scaled
  float* const* outputs;        // rows pointers to [head_dim]
  int rows;                     // 1 .. kMaxAttentionRows
  const Segment* segments;
  int64_t segment_count;
  int64_t head_dim;  // a multiple of 16
  bool f16;
  float* scores;  // scratch and result: [rows, score_stride] unnormalized probabilities
  int64_t score_stride;
};
inline constexpr int kMaxAttentionRows = 8;
void attend(const Attention& args);

// Convolutions in tiles (convolution.h): four outputs from seven inputs by Toom and Cook's
// algorithm with the points -1/2, 1/2, -1, 1, -2, 2 and infinity, in this order.
inline constexpr int64_t kTileOutputs = 4;
inline constexpr int64_t kTilePoints = 7;
inline constexpr double kTileRoots[] = {0.5, -0.5, 1, -1, 2, -2};

// The inputs' side. Transformed row g = dilation * i + phase reads the seven input rows
// dilation * (4 i + n) + phase, n = 0 .. 6; those from `x_rows` on count as zero.
struct TileInputs {
  const float* x;  // [x_rows, channels]
  int64_t x_rows;
  int64_t channels;  // a multiple of 16
  int64_t dilation;
  int64_t rows;          // transformed rows
  float* out;            // [kTilePoints][rows, channels]
  int64_t point_stride;  // elements between the points
};
void transform_inputs(const TileInputs& args);

// What becomes of the sums of a convolution. All rows are `stride` elements apart; nothing is done
// for a null pointer.
struct ConvolutionEpilogue {
  const float* bias = nullptr;         // [columns]
  const float* add[2] = {};            // f32 rows that are added
  float* sum = nullptr;                // f32: the sum itself
  void* activated = nullptr;           // its leaky ReLU
  DType activated_type = DType::kF32;  // or kBF16
  float slope = 1;                     // of the leaky ReLU, at most 1
  int64_t stride = 0;
};
// sums: f32 [rows, columns], columns a multiple of 16.
void finish_rows(const float* sums, int64_t sums_stride, int64_t rows, int64_t columns,
                 const ConvolutionEpilogue& epilogue);

// The outputs' side: four rows of sums from row g of every point, at dilation * (4 i + n) + phase,
// n = 0 .. 3, as far as they are below output_rows; then as finish_rows().
struct TileOutputs {
  const float* sums;  // [kTilePoints][rows, columns]
  int64_t point_stride;
  int64_t rows;
  int64_t columns;  // a multiple of 16
  int64_t dilation;
  int64_t output_rows;
  ConvolutionEpilogue epilogue;
};
void transform_outputs(const TileOutputs& args);

// In place.
void tanh_row(float* x, int64_t count);

// Elementwise conversions.
void f32_to_bf16_row(const float* x, int64_t count, uint16_t* out);
void f32_to_f16_row(const float* x, int64_t count, uint16_t* out);
void f16_to_f32_row(const uint16_t* x, int64_t count, float* out);

}  // namespace parley::nn::kernels
