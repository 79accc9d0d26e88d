// Products with weights, and the layers made of them alone.
#pragma once

#include <span>
#include <string>

#include "parley/core/nn/context.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/weight.h"

namespace parley::nn {

enum class Activation { kNone, kGelu };  // kGelu: x * Phi(x), exact form

struct LinearOptions {
  Activation activation = Activation::kNone;
  Tensor residual =
      {};  // f32 [rows, outputs]: the product is added to it in place, and it is returned
  Tensor out =
      {};  // where the result goes; empty: scratch of the context, of the weight's activation type
};

// x W^T + b.  x: [rows, inputs] -> [rows, outputs]. x is f32, or bf16 for a weight of activation
// type bf16; rows may overlap.
Tensor linear(Context& ctx, const Weight& weight, const Tensor& x,
              const LinearOptions& options = {});

// A 1-D convolution over time as one product: with the frames of x one after another, the kernel's
// window at an output frame is one row of [kernel * channels] values, and rows overlap.
struct Conv1d {
  Weight weight;  // [outputs, kernel * channels], kernel position outermost within a row
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;

  // weight: [outputs, channels, kernel] as checkpoints store it. name: of Weight::name().
  static Conv1d pack(const StoredMatrix& weight, const Tensor& bias, int64_t stride,
                     int64_t padding, Compute compute, const Packing& packing,
                     const std::string& name = "");
};

// x: f32 [frames, channels] -> [(frames + 2 padding - kernel) / stride + 1, outputs] of the
// weight's activation type.
Tensor conv1d(Context& ctx, const Conv1d& conv, const Tensor& x, const LinearOptions& options = {});

struct LayerNorm {
  Buffer weight;  // f32 [size]
  Buffer bias;    // f32 [size]
  float epsilon = 1e-5f;
  std::string name = {};  // for whoever watches: "encoder.layer_norm"

  static LayerNorm load(const Tensor& weight, const Tensor& bias);
};

// (x - mean) / sqrt(variance + epsilon) * weight + bias over each row.  x: f32 [rows, size] ->
// `type` [rows, size].
Tensor layer_norm(Context& ctx, const LayerNorm& norm, const Tensor& x, DType type = DType::kF32);
void layer_norm(Context& ctx, const LayerNorm& norm, const Tensor& x, const Tensor& out);

// x += out(gelu(in(norm(x)))): the second half of a transformer's layer.  x: f32 [rows, size].
void feed_forward(Context& ctx, const LayerNorm& norm, const Weight& in, const Weight& out,
                  const Tensor& x);

// The largest value of a row, the first index that holds it, and log(sum(exp(row))).
using kernels::Peak;
Peak peak(std::span<const float> row);
// The largest value alone; -inf for an empty row.
float maximum(std::span<const float> row);

// Elementwise conversion to `type` (f32, f16, bf16) in scratch; returns x itself when it has that
// type.
Tensor convert(Context& ctx, const Tensor& x, DType type);

}  // namespace parley::nn
