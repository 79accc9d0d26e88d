#include "nn/linear.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "nn/isa.h"
#include "nn/kernels.h"
#include "nn/onednn.h"

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

  void few_float() const {
    const int64_t row_block = 48;
    share(row_block, [this](int64_t row, int64_t count, int64_t panel_begin, int64_t panel_end) {
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

  void int8() const {
    const Scope scope(ctx);
    const int64_t rows = x.rows();
    const int64_t stride = (weight.inputs() + 3) / 4 * 4;
    const Tensor q = ctx.allocate({rows, stride}, DType::kU8);
    const Tensor scale = ctx.allocate({rows});
    const Tensor zero = ctx.allocate({rows}, DType::kI32);
    const int64_t row_block = 48;
    const auto quantize = [&](int64_t row, int64_t count) {
      kernels::quantize_rows(x.row(row), x.row_stride, count, weight.inputs(), stride,
                             q.as<uint8_t>() + row * stride, scale.f32() + row,
                             zero.as<int32_t>() + row);
    };
    if (rows <= row_block) quantize(0, rows);
    share(row_block, [&](int64_t row, int64_t count, int64_t panel_begin, int64_t panel_end) {
      if (rows > row_block) quantize(row, count);  // then a block of rows belongs to one thread
      kernels::multiply_rows(kernels::Int8Rows{.x = {.q = q.as<uint8_t>() + row * stride,
                                                     .stride = stride,
                                                     .scale = scale.f32() + row,
                                                     .zero = zero.as<int32_t>() + row},
                                               .rows = count,
                                               .panels = weight.panels_.as<int8_t>(),
                                               .weight_scale = weight.scale_.as<float>(),
                                               .weight_sum = weight.sum_.as<int32_t>(),
                                               .inputs = stride,
                                               .outputs = weight.outputs(),
                                               .panel_begin = panel_begin,
                                               .panel_end = panel_end,
                                               .vnni = isa() >= Isa::kVnni,
                                               .epilogue = epilogue(),
                                               .out = out.row(row),
                                               .out_stride = out.row_stride});
    });
  }
};

Tensor linear(Context& ctx, const Weight& weight, const Tensor& x, const LinearOptions& options) {
  ctx.check_thread();
  assert(x.cols() == weight.inputs());
  Tensor out = options.residual ? options.residual : options.out;
  if (!out) out = ctx.allocate({x.rows(), weight.outputs()}, weight.activation_type());
  assert(out.rows() == x.rows() && out.cols() == weight.outputs());
  const LinearCall call{
      ctx, weight, x, out, options.activation, static_cast<bool>(options.residual)};
  switch (weight.compute()) {
    case Compute::kF32Many:
    case Compute::kBF16Many:
      call.many();
      break;
    case Compute::kF32Few:
    case Compute::kBF16Few:
      assert(x.dtype == DType::kF32 && out.dtype == DType::kF32);
      call.few_float();
      break;
    case Compute::kInt8:
      assert(x.dtype == DType::kF32 && out.dtype == DType::kF32);
      call.int8();
      break;
  }
  return out;
}

Conv1d Conv1d::pack(const Tensor& weight, const Tensor& bias, int64_t stride, int64_t padding,
                    Compute compute, ThreadTeam& team) {
  const int64_t outputs = weight.shape[0];
  const int64_t channels = weight.shape[1];
  const int64_t kernel = weight.shape[2];
  const Buffer values =
      Buffer::uninitialized(static_cast<size_t>(weight.shape.elements()) * sizeof(float));
  to_f32(weight.data, weight.dtype, static_cast<size_t>(weight.shape.elements()),
         values.as<float>());
  const Buffer turned = Buffer::uninitialized(
      values.size());  // [outputs, channels, kernel] -> [outputs, kernel, channels]
  for (int64_t n = 0; n < outputs; ++n) {
    const float* source = values.as<float>() + n * channels * kernel;
    float* target = turned.as<float>() + n * channels * kernel;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < kernel; ++k) target[k * channels + c] = source[c * kernel + k];
    }
  }
  const WeightSource source{
      {{Tensor(turned.data(), {outputs, kernel * channels}, DType::kF32), bias}}};
  return {.weight = Weight(source, compute, team),
          .kernel = kernel,
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
  const int64_t rows = x.rows();
  const auto element = static_cast<int64_t>(size_of(out.dtype));
  for_rows(ctx, rows, [&](int64_t r) {
    kernels::layer_norm_row(x.row(r), x.cols(), norm.weight.as<float>(), norm.bias.as<float>(),
                            norm.epsilon, out.as<std::byte>() + r * out.row_stride * element,
                            out.dtype == DType::kBF16);
  });
}

Tensor layer_norm(Context& ctx, const LayerNorm& norm, const Tensor& x, DType type) {
  const Tensor out = ctx.allocate(x.shape, type);
  layer_norm(ctx, norm, x, out);
  return out;
}

Peak peak(std::span<const float> row) {
  return kernels::peak(row.data(), static_cast<int64_t>(row.size()));
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
