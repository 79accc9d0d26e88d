#include "parley/core/nn/convolution.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/cpu/onednn.h"

namespace parley::nn {

using kernels::kPanel;
using kernels::kTileOutputs;
using kernels::kTilePoints;

namespace {

constexpr int64_t kGroupColumns = 128;
constexpr int64_t kFetchRows = 24;  // that hide the fetching of the next weights

int64_t whole(int64_t count, int64_t unit) { return (count + unit - 1) / unit; }

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Segments of four taps if tiles take clearly fewer products than taps, else 0.
int64_t segments_for(int64_t kernel) {
  const int64_t segments = whole(kernel, kTileOutputs);
  return 8 * kTilePoints * segments < 7 * kTileOutputs * kernel ? segments : 0;
}

// Weight of a segment of four taps at a point: the polynomial of the taps there, over M'(root) =
// 2 root Q(root^2) (kernels_convolution.cpp). Taps beyond the kernel are zero.
float weight_at_point(const float* taps, int64_t count, int64_t point) {
  count = std::min(count, kTileOutputs);
  if (point == kTilePoints - 1) return count == kTileOutputs ? taps[kTileOutputs - 1] : 0.f;
  const double root = kernels::kTileRoots[point];
  double value = 0;
  for (int64_t k = count - 1; k >= 0; --k) value = value * root + taps[k];
  double slope = 1;
  for (const double other : kernels::kTileRoots) {
    if (other != root) slope *= root - other;
  }
  return static_cast<float>(value / slope);
}

}  // namespace

Convolution::Convolution(const ConvolutionShape& shape, const Tensor& weight, const Tensor& bias,
                         DType type, ThreadTeam& team)
    : shape_(shape),
      type_(type),
      channels_(padded_channels(shape.inputs)),
      columns_(padded_channels(shape.outputs)),
      groups_(whole(columns_, kGroupColumns)),
      bias_(static_cast<size_t>(columns_) * sizeof(float)) {
  assert(weight.shape == (Shape{shape.outputs, shape.inputs, shape.kernel}));
  isa();  // chosen before the first kernel runs
  if (bias) std::copy_n(bias.f32(), shape.outputs, bias_.as<float>());
  if (type == DType::kBF16) {
    pack_onednn(weight.f32());
  } else if ((segments_ = segments_for(shape.kernel)) > 0) {
    pack_tiles(weight.f32(), team);
  } else {
    pack_plain(weight.f32(), team);
  }
}

Convolution::~Convolution() = default;
Convolution::Convolution(Convolution&&) noexcept = default;

int64_t Convolution::group_columns(int64_t group) const {
  return std::min(kGroupColumns, columns_ - group * kGroupColumns);
}

int64_t Convolution::transformed_rows() const {
  return whole(shape_.rows, kTileOutputs * shape_.dilation) * shape_.dilation;
}

void Convolution::pack_tiles(const float* weight, ThreadTeam& team) {
  const int64_t panel_size = segments_ * channels_ * kPanel;
  panels_ =
      Buffer(static_cast<size_t>(kTilePoints * columns_ / kPanel * panel_size) * sizeof(float));
  team.run(columns_ / kPanel, [&](int64_t panel, int) {
    const int64_t group = panel * kPanel / kGroupColumns;
    const int64_t first = group * kGroupColumns / kPanel;  // panel of the group
    for (int64_t point = 0; point < kTilePoints; ++point) {
      float* target =
          panels_.as<float>() +
          (first * kTilePoints + point * group_columns(group) / kPanel + panel - first) *
              panel_size;
      for (int64_t n = panel * kPanel; n < std::min((panel + 1) * kPanel, shape_.outputs); ++n) {
        const float* taps = weight + n * shape_.inputs * shape_.kernel;
        for (int64_t c = 0; c < shape_.inputs; ++c, taps += shape_.kernel) {
          for (int64_t s = 0; s < segments_; ++s) {
            target[(s * channels_ + c) * kPanel + n % kPanel] =
                weight_at_point(taps + s * kTileOutputs, shape_.kernel - s * kTileOutputs, point);
          }
        }
      }
    }
  });
}

void Convolution::pack_plain(const float* weight, ThreadTeam& team) {
  const int64_t panel_size = shape_.kernel * channels_ * kPanel;
  panels_ = Buffer(static_cast<size_t>(columns_ / kPanel * panel_size) * sizeof(float));
  team.run(columns_ / kPanel, [&](int64_t panel, int) {
    float* target = panels_.as<float>() + panel * panel_size;
    for (int64_t n = panel * kPanel; n < std::min((panel + 1) * kPanel, shape_.outputs); ++n) {
      const float* taps = weight + n * shape_.inputs * shape_.kernel;
      for (int64_t c = 0; c < shape_.inputs; ++c) {
        for (int64_t k = 0; k < shape_.kernel; ++k)
          target[(k * channels_ + c) * kPanel + n % kPanel] = taps[c * shape_.kernel + k];
      }
    }
  });
}

void Convolution::pack_onednn(const float* weight) {
  for (int64_t group = 0; group < groups_; ++group) {
    const int64_t columns = group_columns(group);
    std::vector<float> padded(static_cast<size_t>(columns * channels_ * shape_.kernel));
    const int64_t first = group * kGroupColumns;
    for (int64_t n = first; n < std::min(first + columns, shape_.outputs); ++n) {
      std::copy_n(weight + n * shape_.inputs * shape_.kernel, shape_.inputs * shape_.kernel,
                  padded.data() + (n - first) * channels_ * shape_.kernel);
    }
    onednn_.emplace_back(onednn::Convolution::Shapes{.rows = shape_.rows,
                                                     .inputs = channels_,
                                                     .outputs = columns,
                                                     .kernel = shape_.kernel,
                                                     .dilation = shape_.dilation},
                         padded.data());
  }
}

size_t Convolution::bytes() const {
  size_t total = bias_.size() + panels_.size();
  for (const onednn::Convolution& group : onednn_) total += group.bytes();
  return total;
}

std::string_view Convolution::kernel() const {
  if (type_ == DType::kBF16) return "bf16 oneDNN";
  return segments_ > 0 ? "f32 tiles" : "f32 rows";
}

Isa Convolution::kernel_isa() const {
  if (type_ == DType::kBF16 && isa() >= Isa::kAmx) return Isa::kAmx;
  return std::min(isa(), Isa::kAvx512);
}

size_t Convolution::scratch_bytes() const {
  const int64_t columns = group_columns(0);
  if (segments_ > 0) {
    const int64_t rows = transformed_rows();
    const int64_t x_rows = rows + (segments_ - 1) * shape_.dilation;
    return static_cast<size_t>(kTilePoints * (x_rows * channels_ + rows * columns)) * sizeof(float);
  }
  size_t bytes = aligned(static_cast<size_t>(shape_.rows * columns) * sizeof(float));
  size_t theirs = 0;
  for (const onednn::Convolution& group : onednn_)
    theirs = std::max(theirs, aligned(group.scratch_bytes()));
  return bytes + theirs;
}

void Convolution::run(const void* x, int64_t group, const ConvolutionEpilogue& epilogue,
                      void* scratch) const {
  const int64_t first = group * kGroupColumns;
  ConvolutionEpilogue mine = epilogue;
  mine.bias = bias_.as<float>() + first;
  for (const float*& add : mine.add) add = add == nullptr ? nullptr : add + first;
  if (mine.sum != nullptr) mine.sum += first;
  if (mine.activated != nullptr) {
    mine.activated = static_cast<std::byte*>(mine.activated) +
                     static_cast<size_t>(first) * size_of(mine.activated_type);
  }
  if (segments_ > 0)
    return run_tiles(static_cast<const float*>(x), group, mine, static_cast<float*>(scratch));
  const int64_t columns = group_columns(group);
  auto* sums = static_cast<float*>(scratch);
  if (type_ == DType::kBF16) {
    const size_t used = aligned(static_cast<size_t>(shape_.rows * columns) * sizeof(float));
    onednn_[static_cast<size_t>(group)].run(x, sums, static_cast<std::byte*>(scratch) + used);
  } else {
    kernels::multiply_rows(
        kernels::FloatRows{.x = static_cast<const float*>(x),
                           .x_stride = channels_,
                           .rows = shape_.rows,
                           .panels = panels_.as<float>() + first * shape_.kernel * channels_,
                           .bf16 = false,
                           .inputs = shape_.kernel * channels_,
                           .outputs = columns,
                           .panel_begin = 0,
                           .panel_end = columns / kPanel,
                           .epilogue = {},
                           .out = sums,
                           .out_stride = columns,
                           .taps = shape_.kernel,
                           .tap_stride = shape_.dilation * channels_});
  }
  kernels::finish_rows(sums, columns, shape_.rows, columns, mine);
}

void Convolution::run_tiles(const float* x, int64_t group, const ConvolutionEpilogue& epilogue,
                            float* scratch) const {
  const int64_t columns = group_columns(group);
  const int64_t rows = transformed_rows();
  const int64_t x_rows = rows + (segments_ - 1) * shape_.dilation;
  float* inputs = scratch;
  float* sums = scratch + kTilePoints * x_rows * channels_;
  kernels::transform_inputs({.x = x,
                             .x_rows = shape_.input_rows(),
                             .channels = channels_,
                             .dilation = shape_.dilation,
                             .rows = x_rows,
                             .out = inputs,
                             .point_stride = x_rows * channels_});
  const int64_t point_size = segments_ * channels_ * columns;
  const float* panels =
      panels_.as<float>() + group * kGroupColumns * kTilePoints * segments_ * channels_;
  for (int64_t point = 0; point < kTilePoints; ++point) {
    kernels::multiply_rows(kernels::FloatRows{.x = inputs + point * x_rows * channels_,
                                              .x_stride = channels_,
                                              .rows = rows,
                                              .panels = panels + point * point_size,
                                              .bf16 = false,
                                              .inputs = segments_ * channels_,
                                              .outputs = columns,
                                              .panel_begin = 0,
                                              .panel_end = columns / kPanel,
                                              .epilogue = {},
                                              .out = sums + point * rows * columns,
                                              .out_stride = columns,
                                              .taps = segments_,
                                              .tap_stride = shape_.dilation * channels_,
                                              .prefetch = rows >= kFetchRows});
  }
  kernels::transform_outputs({.sums = sums,
                              .point_stride = rows * columns,
                              .rows = rows,
                              .columns = columns,
                              .dilation = shape_.dilation,
                              .output_rows = shape_.rows,
                              .epilogue = epilogue});
}

void tanh(std::span<float> values) {
  kernels::tanh_row(values.data(), static_cast<int64_t>(values.size()));
}

}  // namespace parley::nn
