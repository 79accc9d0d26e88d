#include "parley/core/nn/linear.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/cpu/kernels_compressed.h"
#include "parley/core/nn/cpu/onednn.h"
#include "parley/core/nn/measured.h"

namespace parley::nn {

using kernels::Epilogue;
using kernels::panels_of;

namespace {

// body(row) for each row, in blocks that the team shares.
template <class Body>
void for_rows(Context& ctx, int64_t rows, const Body& body) {
  constexpr int64_t kRows = 64;
  ctx.parallel((rows + kRows - 1) / kRows, [&](int64_t block, int) {
    for (int64_t r = block * kRows; r < std::min((block + 1) * kRows, rows); ++r) body(r);
  });
}

constexpr int64_t kInt8RowBlock = 48;  // of rows that one thread quantizes and multiplies at once

// Scratch for rows of bytes.
class QuantizedScratch {
 public:
  // limit: the largest of the bytes.
  QuantizedScratch(Context& ctx, int64_t rows, int64_t inputs, int64_t padded_inputs, int32_t limit)
      : inputs_(inputs),
        limit_(limit),
        q_(ctx.allocate({rows, padded_inputs}, DType::kU8)),
        scale_(ctx.allocate({rows})),
        zero_(ctx.allocate({rows}, DType::kI32)) {}

  int64_t stride() const { return q_.cols(); }
  // Row `row` and the following become the bytes of x.
  void set(int64_t row, const Tensor& x) const {
    kernels::quantize_rows(x.f32(), x.row_stride, x.rows(), inputs_, stride(), limit_,
                           q_.as<uint8_t>() + row * stride(), scale_.f32() + row,
                           zero_.as<int32_t>() + row);
  }
  kernels::QuantizedRows rows(int64_t row) const {
    return {.q = q_.as<uint8_t>() + row * stride(),
            .stride = stride(),
            .scale = scale_.f32() + row,
            .zero = zero_.as<int32_t>() + row};
  }

 private:
  int64_t inputs_;
  int32_t limit_;
  Tensor q_, scale_, zero_;
};

void normalize_row(const LayerNorm& norm, const Tensor& x, const Tensor& out, int64_t row) {
  const auto element = static_cast<int64_t>(size_of(out.dtype));
  kernels::layer_norm_row(x.row(row), x.cols(), norm.weight.as<float>(), norm.bias.as<float>(),
                          norm.epsilon, out.as<std::byte>() + row * out.row_stride * element,
                          out.dtype == DType::kBF16);
}

// Of `rows` rows times the weight.
Operation describe_product(const Weight& weight, int64_t rows, const Tensor& x, const Tensor& out) {
  const auto bytes_of_rows = [rows](const Tensor& tensor) {
    return static_cast<double>(rows * tensor.cols()) * static_cast<double>(size_of(tensor.dtype));
  };
  return {.name = weight.name(),
          .kind = "linear",
          .kernel = weight.kernel(),
          .isa = weight.kernel_isa(),
          .flops = 2. * static_cast<double>(rows * weight.inputs() * weight.outputs()),
          .bytes = static_cast<double>(weight.bytes()) + bytes_of_rows(x) + bytes_of_rows(out)};
}

}  // namespace

// The operands of one product, and the ways to compute it.
struct LinearCall {
  Context& ctx;
  const Weight& weight;
  Tensor x;
  Tensor out;
  Activation activation;
  bool accumulate;

  Epilogue epilogue() const {
    return {.bias = weight.bias_.as<float>(),
            .gelu = activation == Activation::kGelu,
            .accumulate = accumulate};
  }

  void many() const {
    const Scope scope(ctx);
    Tensor input = convert(ctx, x, weight.activation_type());
    if (input.row_stride < input.cols())
      input = separate_rows(input);  // oneDNN takes no overlapping rows
    weight.matrix_->multiply(ctx, input,
                             {.bias = weight.bias_.as<float>(),
                              .gelu = activation == Activation::kGelu,
                              .accumulate = accumulate},
                             out);
  }

  Tensor separate_rows(const Tensor& source) const {
    const Tensor copy = ctx.allocate(source.shape, source.dtype);
    const auto element = static_cast<int64_t>(size_of(source.dtype));
    const int64_t rows = source.rows();
    for_rows(ctx, rows, [&](int64_t r) {
      std::memcpy(copy.as<std::byte>() + r * copy.row_stride * element,
                  source.as<std::byte>() + r * source.row_stride * element,
                  static_cast<size_t>(source.cols() * element));
    });
    return copy;
  }

  // Threads share the outputs when there are few rows (each thread reads its part of the weights),
  // else the rows.
  template <class Multiply>
  void share(int64_t row_block, const Multiply& multiply) const {
    const int64_t rows = x.rows();
    const int64_t panels = panels_of(weight.outputs());
    if (rows > row_block) {
      return ctx.parallel((rows + row_block - 1) / row_block, [&](int64_t block, int) {
        multiply(block * row_block, std::min(row_block, rows - block * row_block), 0, panels);
      });
    }
    const int64_t work = panels * weight.inputs();  // of 16 products a row
    const int64_t chunk =
        std::max<int64_t>(8, (panels + ctx.threads() * 4 - 1) / (ctx.threads() * 4));
    ctx.parallel((panels + chunk - 1) / chunk,
                 [&](int64_t block, int) {
                   multiply(0, rows, block * chunk, std::min((block + 1) * chunk, panels));
                 },
                 work * rows > 8192);
  }

  void floats() const {
    constexpr int64_t kRowBlock = 96;
    share(kRowBlock, [this](int64_t row, int64_t count, int64_t panel_begin, int64_t panel_end) {
      if (weight.form_) {
        return kernels::multiply_rows(kernels::ExpandedRows{.x = x.row(row),
                                                            .x_stride = x.row_stride,
                                                            .x_inputs = weight.inputs(),
                                                            .rows = count,
                                                            .matrix = weight.compressed(),
                                                            .panel_begin = panel_begin,
                                                            .panel_end = panel_end,
                                                            .epilogue = epilogue(),
                                                            .out = out.row(row),
                                                            .out_stride = out.row_stride});
      }
      kernels::multiply_rows(kernels::FloatRows{.x = x.row(row),
                                                .x_stride = x.row_stride,
                                                .rows = count,
                                                .panels = weight.panels_.data(),
                                                .bf16 = weight.compute() == Compute::kBF16Few,
                                                .inputs = weight.inputs(),
                                                .outputs = weight.outputs(),
                                                .panel_begin = panel_begin,
                                                .panel_end = panel_end,
                                                .epilogue = epilogue(),
                                                .out = out.row(row),
                                                .out_stride = out.row_stride});
    });
  }

  static QuantizedScratch scratch(Context& ctx, int64_t rows, const Weight& weight) {
    return {ctx, rows, weight.inputs(), weight.padded_inputs(), weight.byte_limit_};
  }

  void int8() const {
    const Scope scope(ctx);
    const int64_t rows = x.rows();
    const QuantizedScratch quantized = scratch(ctx, rows, weight);
    if (rows <= kInt8RowBlock) quantized.set(0, x);
    share(kInt8RowBlock, [&](int64_t row, int64_t count, int64_t begin, int64_t end) {
      // Of many rows, a block belongs to one thread.
      if (rows > kInt8RowBlock) quantized.set(row, x.slice_rows(row, count));
      multiply_int8(quantized, row, begin, end, out.slice_rows(row, count));
    });
  }

  // to = the product of to.rows() quantized rows from `row` on with panels [begin, end).
  void multiply_int8(const QuantizedScratch& quantized, int64_t row, int64_t begin, int64_t end,
                     const Tensor& to) const {
    if (weight.form_) {
      return kernels::multiply_rows(kernels::CompressedRows{.x = quantized.rows(row),
                                                            .rows = to.rows(),
                                                            .matrix = weight.compressed(),
                                                            .panel_begin = begin,
                                                            .panel_end = end,
                                                            .vnni = isa() >= Isa::kVnni,
                                                            .epilogue = epilogue(),
                                                            .out = to.f32(),
                                                            .out_stride = to.row_stride});
    }
    kernels::multiply_rows(kernels::Int8Rows{.x = quantized.rows(row),
                                             .rows = to.rows(),
                                             .panels = weight.panels_.as<int8_t>(),
                                             .weight_scale = weight.scale_.as<float>(),
                                             .weight_sum = weight.sum_.as<int32_t>(),
                                             .inputs = quantized.stride(),
                                             .outputs = weight.outputs(),
                                             .panel_begin = begin,
                                             .panel_end = end,
                                             .vnni = isa() >= Isa::kVnni,
                                             .epilogue = epilogue(),
                                             .out = to.f32(),
                                             .out_stride = to.row_stride});
  }
};

Tensor linear(Context& ctx, const Weight& weight, const Tensor& x, const LinearOptions& options) {
  ctx.check_thread();
  assert(x.cols() == weight.inputs());
  Tensor out = options.residual ? options.residual : options.out;
  if (!out) out = ctx.allocate({x.rows(), weight.outputs()}, weight.activation_type());
  assert(out.rows() == x.rows() && out.cols() == weight.outputs());
  const Measured measured(ctx, [&] { return describe_product(weight, x.rows(), x, out); });
  const LinearCall call{
      ctx, weight, x, out, options.activation, static_cast<bool>(options.residual)};
  switch (weight.compute()) {
    case Compute::kBF16Many:
      call.many();
      break;
    case Compute::kF32Many:
    case Compute::kF32Few:
    case Compute::kBF16Few:
      assert(x.dtype == DType::kF32 && out.dtype == DType::kF32);
      call.floats();
      break;
    case Compute::kInt8:
    case Compute::kInt8Many:
      assert(x.dtype == DType::kF32 && out.dtype == DType::kF32);
      call.int8();
      break;
  }
  return out;
}

Conv1d Conv1d::pack(const StoredMatrix& weight, const Tensor& bias, int64_t stride, int64_t padding,
                    Compute compute, const Packing& packing, const std::string& name) {
  return {.weight = Weight({{{weight, bias, name}}}, compute, packing),
          .kernel = weight.shape[2],
          .stride = stride,
          .padding = padding};
}

Tensor conv1d(Context& ctx, const Conv1d& conv, const Tensor& x, const LinearOptions& options) {
  const int64_t frames = x.shape[0];
  const int64_t channels = x.shape[1];
  const int64_t count = (frames + 2 * conv.padding - conv.kernel) / conv.stride + 1;
  Tensor out = options.residual ? options.residual : options.out;
  if (!out) out = ctx.allocate({count, conv.weight.outputs()}, conv.weight.activation_type());
  const Scope scope(ctx);
  const Tensor padded = ctx.allocate({frames + 2 * conv.padding, channels}, x.dtype);
  const size_t row_bytes = static_cast<size_t>(channels) * size_of(x.dtype);
  const size_t edge = static_cast<size_t>(conv.padding) * row_bytes;
  std::memset(padded.data, 0, edge);
  assert(x.contiguous());
  std::memcpy(padded.as<std::byte>() + edge, x.data, static_cast<size_t>(frames) * row_bytes);
  std::memset(padded.as<std::byte>() + edge + static_cast<size_t>(frames) * row_bytes, 0, edge);
  const Tensor input = convert(ctx, padded, conv.weight.activation_type());
  const Tensor rows(input.data, {count, conv.kernel * channels}, input.dtype,
                    conv.stride * channels);
  LinearOptions with_out = options;
  if (!options.residual) with_out.out = out;
  linear(ctx, conv.weight, rows, with_out);
  return out;
}

LayerNorm LayerNorm::load(const Tensor& weight, const Tensor& bias) {
  const auto count = static_cast<size_t>(weight.shape.elements());
  LayerNorm norm{.weight = Buffer(count * sizeof(float)), .bias = Buffer(count * sizeof(float))};
  to_f32(weight.data, weight.dtype, count, norm.weight.as<float>());
  to_f32(bias.data, bias.dtype, count, norm.bias.as<float>());
  return norm;
}

void layer_norm(Context& ctx, const LayerNorm& norm, const Tensor& x, const Tensor& out) {
  const Measured measured(ctx, [&] {
    const auto elements = static_cast<double>(x.shape.elements());
    return Operation{.name = norm.name,
                     .kind = "layer norm",
                     .kernel = "f32",
                     .isa = std::min(isa(), Isa::kAvx512),
                     .flops = 8 * elements,
                     .bytes = elements * static_cast<double>(sizeof(float) + size_of(out.dtype))};
  });
  for_rows(ctx, x.rows(), [&](int64_t r) { normalize_row(norm, x, out, r); });
}

Tensor layer_norm(Context& ctx, const LayerNorm& norm, const Tensor& x, DType type) {
  const Tensor out = ctx.allocate(x.shape, type);
  layer_norm(ctx, norm, x, out);
  return out;
}

namespace {

// A block of rows stays in its core's cache from the norm to the sum: the hidden layer of all rows
// is many megabytes.
void feed_forward_int8(Context& ctx, const LayerNorm& norm, const Weight& in, const Weight& out,
                       const Tensor& x) {
  const Measured measured(ctx, [&] {
    Operation both = describe_product(in, x.rows(), x, x);
    const Operation second = describe_product(out, x.rows(), x, x);
    both.name = joined_names(in.name(), out.name());
    both.kind = "feed forward";
    both.flops += second.flops;
    both.bytes += static_cast<double>(out.bytes());
    return both;
  });
  struct Scratch {
    Tensor normalized, hidden;
    QuantizedScratch narrow, wide;
  };
  std::vector<Scratch> scratch;
  for (int thread = 0; thread < ctx.threads(); ++thread) {
    scratch.push_back({.normalized = ctx.allocate({kInt8RowBlock, in.inputs()}),
                       .hidden = ctx.allocate({kInt8RowBlock, in.outputs()}),
                       .narrow = LinearCall::scratch(ctx, kInt8RowBlock, in),
                       .wide = LinearCall::scratch(ctx, kInt8RowBlock, out)});
  }
  const LinearCall first{ctx, in, {}, {}, Activation::kGelu, /*accumulate=*/false};
  const LinearCall second{ctx, out, {}, {}, Activation::kNone, /*accumulate=*/true};
  const int64_t blocks = (x.rows() + kInt8RowBlock - 1) / kInt8RowBlock;
  ctx.parallel(blocks, [&](int64_t block, int thread) {
    const Scratch& mine = scratch[static_cast<size_t>(thread)];
    const int64_t row = block * kInt8RowBlock;
    const Tensor rows = x.slice_rows(row, std::min(kInt8RowBlock, x.rows() - row));
    const Tensor normalized = mine.normalized.slice_rows(0, rows.rows());
    const Tensor hidden = mine.hidden.slice_rows(0, rows.rows());
    for (int64_t r = 0; r < rows.rows(); ++r) normalize_row(norm, rows, normalized, r);
    mine.narrow.set(0, normalized);
    first.multiply_int8(mine.narrow, 0, 0, panels_of(in.outputs()), hidden);
    mine.wide.set(0, hidden);
    second.multiply_int8(mine.wide, 0, 0, panels_of(out.outputs()), rows);
  });
}

}  // namespace

void feed_forward(Context& ctx, const LayerNorm& norm, const Weight& in, const Weight& out,
                  const Tensor& x) {
  assert(in.inputs() == x.cols() && out.inputs() == in.outputs() && out.outputs() == x.cols());
  ctx.check_thread();
  const Scope scope(ctx);
  if (in.has_int8_rows() && out.has_int8_rows() && x.rows() > kInt8RowBlock) {
    return feed_forward_int8(ctx, norm, in, out, x);
  }
  const Tensor hidden = linear(ctx, in, layer_norm(ctx, norm, x, in.activation_type()),
                               {.activation = Activation::kGelu});
  linear(ctx, out, hidden, {.residual = x});
}

Peak peak(std::span<const float> row) {
  return kernels::peak(row.data(), static_cast<int64_t>(row.size()));
}

float maximum(std::span<const float> row) {
  return kernels::maximum(row.data(), static_cast<int64_t>(row.size()));
}

Tensor convert(Context& ctx, const Tensor& x, DType type) {
  if (x.dtype == type) return x;
  const Tensor out = ctx.allocate(x.shape, type);
  const int64_t rows = x.rows();
  const int64_t cols = x.cols();
  for_rows(ctx, rows, [&](int64_t r) {
    if (x.dtype == DType::kF32 && type == DType::kBF16) {
      kernels::f32_to_bf16_row(x.row(r), cols, out.as<uint16_t>() + r * cols);
    } else if (x.dtype == DType::kF32) {
      kernels::f32_to_f16_row(x.row(r), cols, out.as<uint16_t>() + r * cols);
    } else {
      to_f32(x.as<uint16_t>() + r * x.row_stride, x.dtype, static_cast<size_t>(cols), out.row(r));
    }
  });
  return out;
}

}  // namespace parley::nn
