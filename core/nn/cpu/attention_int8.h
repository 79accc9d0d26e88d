// Encoder attention in 8 bits, for CPUs without AMX. Internal to nn/.
//
// Scores are integer products of queries and keys, each with a scale for its row; probabilities are
// kept as unsigned bytes relative to the largest of their block of 64 keys, so that many small ones
// together are not lost beside a large one; values have a scale for each dimension. Nothing larger
// than a few rows of bytes is ever stored.
#pragma once

#include <cstdint>

#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/tensor.h"

namespace parley::nn::int8 {

inline constexpr int64_t kHeadDim = 64;
inline constexpr int64_t kBlockKeys = 64;
inline constexpr int64_t kMaxPositions = 2048;
inline constexpr int kTileRows = kernels::kTileRows;

// Keys and values of one head, quantized.
struct Head {
  explicit Head(int64_t positions);

  int64_t positions;
  int64_t blocks;
  Buffer keys;         // i8, in panels of 16 keys (kernels.h)
  Buffer key_offset;   // i32 [blocks * 64]: takes back what is added to queries to make bytes
  Buffer key_scale;    // f32 [blocks * 64]
  Buffer values;       // i8, for each block of 64 keys panels of 16 dimensions
  Buffer value_scale;  // f32 [64]
};

// k, v: f32 [positions, 64], rows `stride` apart.
void pack(Head& head, const float* k, const float* v, int64_t stride);

// Up to kTileRows rows of queries, f32 [64], `stride` apart -> out[row] = softmax(q K^T / sqrt(64))
// V. A row's result does not depend on the rows beside it.
struct Queries {
  const float* q;
  int64_t stride;
  int rows;
  float* out;
  int64_t out_stride;
};
void attend(const Head& head, const Queries& queries);

}  // namespace parley::nn::int8
