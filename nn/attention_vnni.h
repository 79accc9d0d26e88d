// Encoder attention in 8 bits for CPUs with AVX-512 VNNI and no AMX. Internal to nn/.
//
// Scores are integer products of queries and keys, each with a scale for its row; probabilities are
// kept as unsigned bytes relative to the largest of their block of 64 keys, so that many small ones
// together are not lost beside a large one; values have a scale for each dimension. Nothing larger
// than a few rows of bytes is ever stored.
#pragma once

#include <cstdint>

#include "nn/tensor.h"

namespace parley::nn::vnni {

inline constexpr int64_t kHeadDim = 64;
inline constexpr int64_t kBlockKeys = 64;
inline constexpr int64_t kMaxPositions = 2048;
inline constexpr int kTileRows = 6;

// Keys and values of one head, quantized.
class Head {
 public:
  explicit Head(int64_t positions);

  // k, v: f32 [positions, 64], rows `stride` apart.
  void pack(const float* k, const float* v, int64_t stride);
  // Up to kTileRows rows of queries, f32 [64], `stride` apart -> out[row] = softmax(q K^T /
  // sqrt(64)) V.
  void attend(const float* q, int64_t stride, int rows, float* out, int64_t out_stride) const;

 private:
  void pack_values(const float* v, int64_t stride);

  int64_t positions_;
  int64_t blocks_;
  Buffer keys_;         // i8, in panels of 16 keys (kernels.h)
  Buffer key_offset_;   // i32 [blocks * 64]: takes back that queries are stored with 128 added
  Buffer key_scale_;    // f32 [blocks * 64]
  Buffer values_;       // i8, for each block of 64 keys panels of 16 dimensions
  Buffer value_scale_;  // f32 [64]
};

}  // namespace parley::nn::vnni
