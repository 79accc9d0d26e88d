// Scaled dot-product attention: of an encoder (every position with every position) and of a decoder
// over its KV cache.
#pragma once

#include <span>
#include <string_view>

#include "parley/core/nn/context.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/tensor.h"
#include "parley/core/nn/weight.h"

namespace parley::nn {

// softmax(Q K^T / sqrt(head_dim)) V for each head, without ever holding a whole [positions,
// positions] matrix: a block of queries meets all keys, then the next (Rabe & Staats 2021 for the
// idea; exact softmax, not a running one). qkv: f32 or bf16 [positions, 3 * heads * head_dim], the
// three parts side by side -> [positions, heads * head_dim] of the same type. compute: of the
// weights around it; kInt8 allows products in 8 bits where the CPU is fastest with them.
Tensor self_attention(Context& ctx, const Tensor& qkv, int64_t heads, Compute compute);

// What computes that: the weights' kind of kernel, as far as there is one for these shapes.
struct AttentionKernel {
  std::string_view name;  // "int8 rows"
  Isa isa;
};
AttentionKernel self_attention_kernel(Compute compute, int64_t head_dim, int64_t positions);

// The same with learned relative positions (Shaw et al. 2018, the part of the keys): before the
// softmax, q_i . embedding[clamp(i - j, -distance, distance - 1) + distance] is added to q_i . k_j.
// embeddings: [2 * distance, head_dim], shared by the heads. For sentences: the products of
// embeddings with all positions are kept at once, and the scores are f32.
Tensor self_attention(Context& ctx, const Tensor& qkv, int64_t heads, const Weight& embeddings);

// Keys and values of `count` positions, as kernels::Segment wants them: keys [head_dim][capacity],
// values [capacity][head_dim], one such pair for each head.
using kernels::Segment;

// Copies rows of keys and values into a segment's layout: k, v: f32 [head_dim] of one position.
void store_position(const Segment& segment, int64_t position, int64_t head_dim, bool f16,
                    const float* k, const float* v);

// The same for all positions of all heads: kv: f32 [positions, 2 * heads * head_dim], keys beside
// values; segments: of head 0 in the order of their positions, then of head 1, ...
void store_positions(Context& ctx, std::span<const Segment> segments, int64_t heads, bool f16,
                     const Tensor& kv);

// One group of query rows that attend to the same segments.
struct AttentionGroup {
  std::span<const int64_t> rows;  // which rows of q and out; at most kernels::kMaxAttentionRows
  std::span<const Segment>
      segments;  // [heads * segments_per_head]: those of head 0, then of head 1, ...
};

// Where the probabilities of some heads are to be written: over the first `positions` positions of
// each row's segments, normalized over these alone.
struct AttentionProbe {
  std::span<const int64_t> heads;
  int64_t positions = 0;  // at most what every row's segments hold
  Tensor out = {};        // f32 [probed heads, rows of q, positions]
};

// q: f32 [rows, heads * head_dim], not scaled -> out: the same shape. f16: the segments hold f16,
// else f32.
void cached_attention(Context& ctx, const Tensor& q, int64_t heads,
                      std::span<const AttentionGroup> groups, bool f16, const Tensor& out,
                      const AttentionProbe& probe = {});

}  // namespace parley::nn
