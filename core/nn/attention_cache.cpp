// Attention of a decoder over its KV cache (attention.h).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "parley/core/nn/attention.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/measured.h"

namespace parley::nn {

void store_position(const Segment& segment, int64_t position, int64_t head_dim, bool f16,
                    const float* k, const float* v) {
  if (f16) {
    auto* keys = static_cast<uint16_t*>(const_cast<void*>(segment.keys)) + position;
    auto* values = static_cast<uint16_t*>(const_cast<void*>(segment.values)) + position * head_dim;
    for (int64_t d = 0; d < head_dim; ++d) keys[d * segment.capacity] = f32_to_f16(k[d]);
    kernels::f32_to_f16_row(v, head_dim, values);
  } else {
    auto* keys = static_cast<float*>(const_cast<void*>(segment.keys)) + position;
    auto* values = static_cast<float*>(const_cast<void*>(segment.values)) + position * head_dim;
    for (int64_t d = 0; d < head_dim; ++d) keys[d * segment.capacity] = k[d];
    std::copy_n(v, head_dim, values);
  }
}

namespace {

// Keys [positions, head_dim] with rows `stride` apart -> [head_dim][capacity], in tiles that fit
// the first-level cache.
template <class T, class Convert>
void transpose_keys(const float* k, int64_t stride, int64_t positions, int64_t head_dim,
                    int64_t capacity, T* keys, Convert convert) {
  constexpr int64_t kTile = 32;
  for (int64_t begin = 0; begin < positions; begin += kTile) {
    const int64_t end = std::min(begin + kTile, positions);
    for (int64_t d = 0; d < head_dim; ++d) {
      float column[kTile];
      for (int64_t t = begin; t < end; ++t) column[t - begin] = k[t * stride + d];
      convert(column, end - begin, keys + d * capacity + begin);
    }
  }
}

}  // namespace

void store_positions(Context& ctx, std::span<const Segment> segments, int64_t heads, bool f16,
                     const Tensor& kv) {
  const Measured measured(ctx, [&] {
    const auto elements = static_cast<double>(kv.shape.elements());
    return Operation{.name = {},
                     .kind = "keys and values",
                     .kernel = f16 ? "to f16" : "to f32",
                     .isa = std::min(isa(), Isa::kAvx512),
                     .flops = 0,
                     .bytes = elements * (sizeof(float) + (f16 ? 2 : 4))};
  });
  const int64_t head_dim = kv.cols() / 2 / heads;
  const auto count = static_cast<int64_t>(segments.size());
  const int64_t per_head = count / heads;
  ctx.parallel(count, [&](int64_t i, int) {
    const Segment& segment = segments[static_cast<size_t>(i)];
    const int64_t first = i % per_head * segments[0].capacity;
    const float* k = kv.row(first) + i / per_head * head_dim;
    const float* v = k + heads * head_dim;
    void* keys = const_cast<void*>(segment.keys);
    void* values = const_cast<void*>(segment.values);
    if (f16) {
      transpose_keys(k, kv.row_stride, segment.count, head_dim, segment.capacity,
                     static_cast<uint16_t*>(keys), kernels::f32_to_f16_row);
      for (int64_t t = 0; t < segment.count; ++t) {
        kernels::f32_to_f16_row(v + t * kv.row_stride, head_dim,
                                static_cast<uint16_t*>(values) + t * head_dim);
      }
    } else {
      transpose_keys(k, kv.row_stride, segment.count, head_dim, segment.capacity,
                     static_cast<float*>(keys),
                     [](const float* x, int64_t n, float* out) { std::copy_n(x, n, out); });
      for (int64_t t = 0; t < segment.count; ++t)
        std::copy_n(v + t * kv.row_stride, head_dim, static_cast<float*>(values) + t * head_dim);
    }
  });
}

namespace {

// scores: of one head and the group's rows, [rows, stride], not normalized.
void copy_probabilities(const AttentionProbe& probe, int64_t head, const AttentionGroup& group,
                        const float* scores, int64_t stride) {
  const auto found = std::find(probe.heads.begin(), probe.heads.end(), head);
  if (found == probe.heads.end()) return;
  const int64_t first_row = (found - probe.heads.begin()) * probe.out.shape[1];
  for (size_t i = 0; i < group.rows.size(); ++i) {
    const std::span row(scores + static_cast<int64_t>(i) * stride,
                        static_cast<size_t>(probe.positions));
    const float total = std::accumulate(row.begin(), row.end(), 0.f);
    float* out = probe.out.row(first_row + group.rows[i]);
    std::transform(row.begin(), row.end(), out,
                   [&](float score) { return total > 0 ? score / total : 0.f; });
  }
}

}  // namespace

void cached_attention(Context& ctx, const Tensor& q, int64_t heads,
                      std::span<const AttentionGroup> groups, bool f16, const Tensor& out,
                      const AttentionProbe& probe) {
  int64_t work = 0;    // products of a query and a key
  int64_t stored = 0;  // numbers in the keys
  const Measured measured(ctx, [&] {
    return Operation{.name = {},
                     .kind = "attention over the cache",
                     .kernel = f16 ? "f16 cache" : "f32 cache",
                     .isa = std::min(isa(), Isa::kAvx512),
                     .flops = 4. * static_cast<double>(work),
                     .bytes = 2. * static_cast<double>(stored) * (f16 ? 2 : 4)};
  });
  const Scope scope(ctx);
  const int64_t head_dim = q.cols() / heads;
  const float scale = 1.f / std::sqrt(static_cast<float>(head_dim));
  int64_t longest = 0;
  for (const AttentionGroup& group : groups) {
    const size_t per_head = group.segments.size() / static_cast<size_t>(heads);
    int64_t positions = 0;
    for (const Segment& segment : group.segments.first(per_head)) positions += segment.count;
    longest = std::max(longest, positions + group.segments[0].capacity);
    stored += positions * heads * head_dim;
    work += positions * heads * head_dim * static_cast<int64_t>(group.rows.size());
  }
  const Tensor scaled = ctx.allocate(q.shape);
  for (int64_t r = 0; r < q.rows(); ++r) {
    for (int64_t i = 0; i < q.cols(); ++i) scaled.row(r)[i] = q.row(r)[i] * scale;
  }
  const Tensor scores = ctx.allocate({ctx.threads(), kernels::kMaxAttentionRows * longest});
  const auto tasks = static_cast<int64_t>(groups.size()) * heads;
  const auto attend = [&](int64_t task, int thread) {
    const AttentionGroup& group = groups[static_cast<size_t>(task / heads)];
    const int64_t head = task % heads;
    const size_t per_head = group.segments.size() / static_cast<size_t>(heads);
    const float* queries[kernels::kMaxAttentionRows];
    float* outputs[kernels::kMaxAttentionRows];
    for (size_t i = 0; i < group.rows.size(); ++i) {
      queries[i] = scaled.row(group.rows[i]) + head * head_dim;
      outputs[i] = out.row(group.rows[i]) + head * head_dim;
    }
    kernels::attend({.queries = queries,
                     .outputs = outputs,
                     .rows = static_cast<int>(group.rows.size()),
                     .segments = group.segments.data() + static_cast<size_t>(head) * per_head,
                     .segment_count = static_cast<int64_t>(per_head),
                     .head_dim = head_dim,
                     .f16 = f16,
                     .scores = scores.row(thread),
                     .score_stride = longest});
    copy_probabilities(probe, head, group, scores.row(thread), longest);
  };
  ctx.parallel(tasks, attend, work > 16384);
}

}  // namespace parley::nn
