#include "parley/core/nn/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "parley/core/nn/cpu/attention_int8.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/cpu/onednn.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/measured.h"

namespace parley::nn {

using kernels::kPanel;
using kernels::panels_of;

namespace {

AttentionKernel f32_attention() { return {"f32 rows", isa_of(Compute::kF32Few)}; }
AttentionKernel bf16_attention() { return {"bf16 oneDNN", isa_of(Compute::kBF16Many)}; }
AttentionKernel int8_attention() { return {"int8 rows", isa_of(Compute::kInt8Many)}; }

bool has_int8_attention(Compute compute, int64_t head_dim, int64_t positions) {
  return (compute == Compute::kInt8 || compute == Compute::kInt8Many) && isa() >= Isa::kAvx2 &&
         head_dim == int8::kHeadDim && positions <= int8::kMaxPositions;
}

// Every position with every position.
Operation describe_self_attention(const Tensor& qkv, const AttentionKernel& kernel) {
  const auto positions = static_cast<double>(qkv.rows());
  const auto width = static_cast<double>(qkv.cols()) / 3;
  return {.name = {},
          .kind = "self-attention",
          .kernel = kernel.name,
          .isa = kernel.isa,
          .flops = 4 * positions * positions * width,
          .bytes = 4 * positions * width * static_cast<double>(size_of(qkv.dtype))};
}

// The three parts of one head inside qkv.
template <class T>
struct Head {
  const T* q;
  const T* k;
  const T* v;
};

template <class T>
Head<T> head_of(const Tensor& qkv, int64_t head, int64_t head_dim) {
  const T* q = qkv.as<T>() + head * head_dim;
  const int64_t width = qkv.cols() / 3;
  return {q, q + width, q + 2 * width};
}

// f32 by our own row kernels. Keys and values of a head are packed like weights: keys [positions,
// head_dim] as they are, values as [head_dim, positions].
struct AttentionF32 {
  const Tensor& qkv;
  int64_t heads;
  int64_t positions = qkv.rows();
  int64_t head_dim = qkv.cols() / 3 / heads;
  int64_t padded = panels_of(positions) * kPanel;
  int64_t key_size = padded * head_dim;
  int64_t value_size = panels_of(head_dim) * kPanel * positions;
  Tensor relative = {};  // [heads * positions, 2 * distance]: queries times embeddings

  void pack(int64_t head, float* keys, float* values) const {
    const auto [q, k, v] = head_of<float>(qkv, head, head_dim);
    for (int64_t n = 0; n < padded; ++n) {
      float* target = keys + n / kPanel * kPanel * head_dim + n % kPanel;
      for (int64_t d = 0; d < head_dim; ++d)
        target[d * kPanel] = n < positions ? k[n * qkv.row_stride + d] : 0.f;
    }
    for (int64_t panel = 0; panel < panels_of(head_dim); ++panel) {
      const int64_t width = std::min(kPanel, head_dim - panel * kPanel);
      float* target = values + panel * kPanel * positions;
      for (int64_t t = 0; t < positions; ++t, target += kPanel) {
        std::memcpy(target, v + t * qkv.row_stride + panel * kPanel,
                    static_cast<size_t>(width) * sizeof(float));
        std::fill(target + width, target + kPanel, 0.f);
      }
    }
  }

  // Query i meets the embedding of its offset to each key j.
  void add_relative(int64_t i, const float* products, float* scores) const {
    const int64_t distance = relative.cols() / 2;
    for (int64_t j = 0; j < positions; ++j)
      scores[j] += products[std::clamp(i - j, -distance, distance - 1) + distance];
  }

  // scores: [rows, padded] scratch.
  void attend(int64_t head, int64_t begin, int64_t rows, const float* keys, const float* values,
              float* scores, const Tensor& out) const {
    const auto [q, k, v] = head_of<float>(qkv, head, head_dim);
    kernels::multiply_rows(kernels::FloatRows{.x = q + begin * qkv.row_stride,
                                              .x_stride = qkv.row_stride,
                                              .rows = rows,
                                              .panels = keys,
                                              .bf16 = false,
                                              .inputs = head_dim,
                                              .outputs = positions,
                                              .panel_begin = 0,
                                              .panel_end = panels_of(positions),
                                              .epilogue = {},
                                              .out = scores,
                                              .out_stride = padded});
    if (relative) {
      for (int64_t r = 0; r < rows; ++r)
        add_relative(begin + r, relative.row(head * positions + begin + r), scores + r * padded);
    }
    float sums[kQueries];
    const float scale = 1.f / std::sqrt(static_cast<float>(head_dim));
    for (int64_t r = 0; r < rows; ++r)
      sums[r] = kernels::exp_row(scores + r * padded, positions, positions, scale);
    float* target = out.row(begin) + head * head_dim;
    kernels::multiply_rows(kernels::FloatRows{.x = scores,
                                              .x_stride = padded,
                                              .rows = rows,
                                              .panels = values,
                                              .bf16 = false,
                                              .inputs = positions,
                                              .outputs = head_dim,
                                              .panel_begin = 0,
                                              .panel_end = panels_of(head_dim),
                                              .epilogue = {},
                                              .out = target,
                                              .out_stride = out.row_stride});
    for (int64_t r = 0; r < rows; ++r)
      kernels::scale_row(target + r * out.row_stride, head_dim, 1.f / sums[r]);
  }

  static constexpr int64_t kQueries =
      96;  // scores of a block: 576 KiB at 1500 positions, within a core's second-level cache
};

void self_attention_f32(Context& ctx, const Tensor& qkv, int64_t heads, const Tensor& out,
                        const Tensor& relative = {}) {
  const Measured measured(ctx, [&] { return describe_self_attention(qkv, f32_attention()); });
  AttentionF32 a{qkv, heads};
  a.relative = relative;
  const Scope scope(ctx);
  const Tensor keys = ctx.allocate({heads, a.key_size});
  const Tensor values = ctx.allocate({heads, a.value_size});
  const Tensor scores = ctx.allocate({ctx.threads(), AttentionF32::kQueries * a.padded});
  const int64_t blocks = (a.positions + AttentionF32::kQueries - 1) / AttentionF32::kQueries;
  ctx.parallel(heads, [&](int64_t head, int) { a.pack(head, keys.row(head), values.row(head)); });
  ctx.parallel(heads * blocks, [&](int64_t task, int thread) {
    const int64_t head = task / blocks;
    const int64_t begin = task % blocks * AttentionF32::kQueries;
    a.attend(head, begin, std::min(AttentionF32::kQueries, a.positions - begin), keys.row(head),
             values.row(head), scores.row(thread), out);
  });
}

// bf16 by oneDNN's small products: AMX tiles where the CPU has them.
struct AttentionBF16 {
  const Tensor& qkv;
  int64_t heads;
  int64_t queries;  // rows of a block
  int64_t positions = qkv.rows();
  int64_t head_dim = qkv.cols() / 3 / heads;
  int64_t padded = (positions + 31) / 32 * 32;
  onednn::Product score{{.m = queries,
                         .n = positions,
                         .k = head_dim,
                         .a_stride = qkv.row_stride,
                         .b_row_stride = 1,
                         .b_column_stride = qkv.row_stride,
                         .c_type = DType::kF32,
                         .c_stride = padded}};
  onednn::Product mix{{.m = queries,
                       .n = head_dim,
                       .k = positions,
                       .a_stride = padded,
                       .b_row_stride = qkv.row_stride,
                       .b_column_stride = 1,
                       .c_type = DType::kF32,
                       .c_stride = head_dim}};

  int64_t scratch_bytes() const {
    return static_cast<int64_t>(std::max(score.scratch_bytes(), mix.scratch_bytes()));
  }

  // The products have a fixed number of rows: the last block begins early, and its rows before
  // `first` are another's.
  void attend(int64_t head, int64_t first, const void* keys, const void* values, float* scores,
              uint16_t* probabilities, float* mixed, void* scratch, const Tensor& out) const {
    const int64_t begin = std::min(first, positions - queries);
    score.run(head_of<uint16_t>(qkv, head, head_dim).q + begin * qkv.row_stride, keys, scores,
              scratch);
    const float scale = 1.f / std::sqrt(static_cast<float>(head_dim));
    float sums[kQueries];
    for (int64_t r = 0; r < queries; ++r) {
      sums[r] = kernels::exp_row_bf16(scores + r * padded, positions, padded, scale,
                                      probabilities + r * padded);
    }
    mix.run(probabilities, values, mixed, scratch);
    for (int64_t r = first - begin; r < queries; ++r) {
      kernels::scale_row(mixed + r * head_dim, head_dim, 1.f / sums[r]);
      kernels::f32_to_bf16_row(mixed + r * head_dim, head_dim,
                               out.as<uint16_t>() + (begin + r) * out.row_stride + head * head_dim);
    }
  }

  static constexpr int64_t kQueries = 160;
};

void self_attention_bf16(Context& ctx, const Tensor& qkv, int64_t heads, const Tensor& out) {
  const Measured measured(ctx, [&] { return describe_self_attention(qkv, bf16_attention()); });
  const int64_t positions = qkv.rows();
  const int64_t queries = std::min(AttentionBF16::kQueries, positions);
  const AttentionBF16 a{qkv, heads, queries};
  const Scope scope(ctx);
  const int threads = ctx.threads();
  const auto bytes = [&ctx](int64_t rows, size_t each) {
    return ctx.allocate({rows, static_cast<int64_t>((each + 63) / 64 * 64)}, DType::kU8);
  };
  const Tensor keys = bytes(heads, a.score.packed_bytes());
  const Tensor values = bytes(heads, a.mix.packed_bytes());
  const Tensor scratch = bytes(threads, static_cast<size_t>(a.scratch_bytes()));
  const Tensor scores = ctx.allocate({threads, queries * a.padded});
  const Tensor probabilities = ctx.allocate({threads, queries * a.padded}, DType::kBF16);
  const Tensor mixed = ctx.allocate({threads, queries * a.head_dim});
  const int64_t blocks = (positions + queries - 1) / queries;
  const auto own = [&](int thread) { return scratch.as<uint8_t>() + thread * scratch.cols(); };
  ctx.parallel(heads, [&](int64_t head, int thread) {
    const auto parts = head_of<uint16_t>(qkv, head, a.head_dim);
    a.score.pack(parts.k, keys.as<uint8_t>() + head * keys.cols(), own(thread));
    a.mix.pack(parts.v, values.as<uint8_t>() + head * values.cols(), own(thread));
  });
  ctx.parallel(heads * blocks, [&](int64_t task, int thread) {
    const int64_t head = task / blocks;
    a.attend(head, task % blocks * queries, keys.as<uint8_t>() + head * keys.cols(),
             values.as<uint8_t>() + head * values.cols(), scores.row(thread),
             probabilities.as<uint16_t>() + thread * probabilities.cols(), mixed.row(thread),
             own(thread), out);
  });
}

void self_attention_int8(Context& ctx, const Tensor& qkv, int64_t heads, const Tensor& out) {
  const Measured measured(ctx, [&] { return describe_self_attention(qkv, int8_attention()); });
  const int64_t positions = qkv.rows();
  std::vector<int8::Head> packed;
  for (int64_t head = 0; head < heads; ++head) packed.emplace_back(positions);
  constexpr int64_t kQueries = 10 * int8::kTileRows;
  const int64_t blocks = (positions + kQueries - 1) / kQueries;
  ctx.parallel(heads, [&](int64_t head, int) {
    const auto [q, k, v] = head_of<float>(qkv, head, int8::kHeadDim);
    int8::pack(packed[static_cast<size_t>(head)], k, v, qkv.row_stride);
  });
  ctx.parallel(heads * blocks, [&](int64_t task, int) {
    const int64_t head = task / blocks;
    const auto [q, k, v] = head_of<float>(qkv, head, int8::kHeadDim);
    const int64_t begin = task % blocks * kQueries;
    const int64_t end = std::min(begin + kQueries, positions);
    for (int64_t row = begin; row < end; row += int8::kTileRows) {
      int8::attend(packed[static_cast<size_t>(head)],
                   {.q = q + row * qkv.row_stride,
                    .stride = qkv.row_stride,
                    .rows = static_cast<int>(std::min<int64_t>(int8::kTileRows, end - row)),
                    .out = out.row(row) + head * int8::kHeadDim,
                    .out_stride = out.row_stride});
    }
  });
}

}  // namespace

AttentionKernel self_attention_kernel(Compute compute, int64_t head_dim, int64_t positions) {
  if (compute == Compute::kBF16Many) return bf16_attention();
  return has_int8_attention(compute, head_dim, positions) ? int8_attention() : f32_attention();
}

Tensor self_attention(Context& ctx, const Tensor& qkv, int64_t heads, Compute compute) {
  ctx.check_thread();
  const Tensor out = ctx.allocate({qkv.rows(), qkv.cols() / 3}, qkv.dtype);
  const int64_t head_dim = qkv.cols() / 3 / heads;
  if (qkv.dtype == DType::kBF16) {
    self_attention_bf16(ctx, qkv, heads, out);
  } else if (has_int8_attention(compute, head_dim, qkv.rows())) {
    self_attention_int8(ctx, qkv, heads, out);
  } else {
    self_attention_f32(ctx, qkv, heads, out);
  }
  return out;
}

Tensor self_attention(Context& ctx, const Tensor& qkv, int64_t heads, const Weight& embeddings) {
  const int64_t positions = qkv.rows();
  const int64_t head_dim = qkv.cols() / 3 / heads;
  const Tensor out = ctx.allocate({positions, heads * head_dim});
  const Scope scope(ctx);
  const Tensor input = convert(ctx, qkv, DType::kF32);
  const Tensor relative = ctx.allocate({heads * positions, embeddings.outputs()});
  for (int64_t head = 0; head < heads; ++head) {
    const Tensor q(input.f32() + head * head_dim, {positions, head_dim}, DType::kF32,
                   input.row_stride);
    linear(ctx, embeddings, q, {.out = relative.slice_rows(head * positions, positions)});
  }
  self_attention_f32(ctx, input, heads, out, relative);
  return out;
}

}  // namespace parley::nn
