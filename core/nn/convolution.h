// 1-D convolutions over time with many frames: dilated, stride 1, rows of channels. Packed once,
// then run slice by slice.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/tensor.h"
#include "parley/core/nn/thread_team.h"

namespace parley::nn {

namespace onednn {
class Convolution;
}

// Rows of channels are padded with zeros to whole panels.
constexpr int64_t padded_channels(int64_t channels) {
  return (channels + kernels::kPanel - 1) / kernels::kPanel * kernels::kPanel;
}

using kernels::ConvolutionEpilogue;

struct ConvolutionShape {
  int64_t inputs = 0;
  int64_t outputs = 0;
  int64_t kernel = 1;
  int64_t dilation = 1;
  int64_t rows = 0;  // of the result of one slice

  // Of the input of one slice.
  int64_t input_rows() const { return rows + (kernel - 1) * dilation; }
};

// out[t] = b + sum over k of W[:, :, k] x[t + k * dilation].  Immutable.
//
// bf16 is oneDNN's. f32 is ours: a kernel of up to 4 n taps costs 7 n products for 4 outputs by
// Toom and Cook's algorithm (Winograd 1980; Barabasz et al. 2018 for the points), half as many as
// it has taps for 3, 7 and 11, and the products are matrix products (kernels.h); rounding errors
// are about 3 times those of the plain sum. Where that would not be fewer products it is one
// implicit product over overlapping rows.
class Convolution {
 public:
  // weight: f32 [outputs, inputs, kernel]; bias: f32 [outputs]; type: of the input, kF32 or kBF16.
  // The team shares the packing.
  Convolution(const ConvolutionShape& shape, const Tensor& weight, const Tensor& bias, DType type,
              ThreadTeam& team);
  ~Convolution();
  Convolution(Convolution&&) noexcept;

  const ConvolutionShape& shape() const { return shape_; }
  DType type() const { return type_; }
  size_t bytes() const;
  // The kernel that runs, "f32 tiles", and the instruction set that uses.
  std::string_view kernel() const;
  Isa kernel_isa() const;

  // The outputs are computed in this many groups, which different threads may take.
  int64_t groups() const { return groups_; }
  size_t scratch_bytes() const;
  // One group of one slice, on the calling thread. x: the first row that the slice reads,
  // [input_rows(), padded_channels(inputs)] without gaps. epilogue: pointers to the first row of
  // the result, for all outputs; bias is added here and left empty there; columns beyond `outputs`
  // become the activation of what is added, i.e. stay zero. scratch: scratch_bytes(), aligned to
  // 64.
  void run(const void* x, int64_t group, const ConvolutionEpilogue& epilogue, void* scratch) const;

 private:
  void pack_tiles(const float* weight, ThreadTeam& team);
  void pack_plain(const float* weight, ThreadTeam& team);
  void pack_onednn(const float* weight);
  void run_tiles(const float* x, int64_t group, const ConvolutionEpilogue& epilogue,
                 float* scratch) const;
  int64_t transformed_rows() const;
  int64_t group_columns(int64_t group) const;

  ConvolutionShape shape_;
  DType type_;
  int64_t channels_ = 0;  // padded inputs
  int64_t columns_ = 0;   // padded outputs
  int64_t segments_ = 0;  // of 4 taps; 0: not computed in tiles
  int64_t groups_ = 1;
  Buffer bias_;    // f32 [columns_]
  Buffer panels_;  // f32, for each group: [points][panels][taps, channels_][16]
  std::vector<onednn::Convolution> onednn_;  // for each group
};

// tanh of every value, in place.
void tanh(std::span<float> values);

}  // namespace parley::nn
