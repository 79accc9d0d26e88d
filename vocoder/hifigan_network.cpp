#include "parley/vocoder/hifigan_network.h"

#include <algorithm>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"

namespace parley::vocoder {

using nn::DType;
using nn::Shape;
using nn::Tensor;

namespace {

// A slice's transformed rows (convolution.h) stay in the cache; many slices keep many threads busy.
constexpr int64_t kMaxSliceRows = 240;
// Elements of a line in a step. Many channels have weights that leave the cache in every step, and
// longer steps read them less often; with few, all lines of a level stay in the cache.
constexpr int64_t kManyChannels = 128;
constexpr int64_t line_elements(int64_t channels) {
  return channels >= kManyChannels ? 65536 : 16384;
}
constexpr int64_t kEndKernel = 7;
constexpr float kLastSlope = 0.01f;  // before conv_post: the default of torch's leaky_relu

int64_t largest_divisor(int64_t value, int64_t limit) {
  int64_t divisor = std::min(value, limit);
  while (value % divisor != 0) --divisor;
  return divisor;
}

DType activation_type(nn::Precision precision) {
  if (precision == nn::Precision::kInt8)
    throw Error("precision int8", "is not for vocoders: it can be heard", "use auto, bf16 or f32");
  if (precision == nn::Precision::kAuto)
    return nn::isa() >= nn::Isa::kAmx ? DType::kBF16 : DType::kF32;
  const nn::Compute compute = nn::compute_for(precision, nn::Rows::kMany);
  return compute == nn::Compute::kBF16Many ? DType::kBF16 : DType::kF32;
}

}  // namespace

// Puts the network together level by level.
class HifiGan::Network::Builder {
 public:
  Builder(Network& network, const stage::Stage& stage, DType type, nn::ThreadTeam& team)
      : net_(network),
        dims_(network.dims),
        name_(stage.name()),
        read_(stage.weights(), team),
        type_(type),
        team_(team) {}

  void build() {
    add_frames();
    for (size_t i = 0; i < dims_.upsample_rates.size(); ++i) {
      add_level(i);
      add_resblocks(i);
    }
    add_samples();
  }

 private:
  // How far a residual block has come in its level.
  struct Block {
    int raw;        // x
    int activated;  // what its next convolution reads
  };

  Line& line(int id) { return net_.lines[static_cast<size_t>(id)]; }
  Level& level() { return net_.levels.back(); }
  size_t blocks() const { return dims_.resblock_kernel_sizes.size(); }
  float slope() const { return static_cast<float>(dims_.leaky_relu_slope); }
  // The mean over residual blocks is their sum with the next weights divided by their number: the
  // leaky ReLU between does not mind.
  float mean_factor() const { return 1.f / static_cast<float>(blocks()); }

  int add_line(int64_t channels, DType type, int64_t lag);
  View view(int id, int64_t lag, int64_t left = 0);
  nn::Convolution pack(const nn::ConvolutionShape& shape, const nn::Buffer& weight,
                       const nn::Buffer& bias, DType type) const;
  Operation same(const std::string& name, nn::ConvolutionShape shape, int in, int64_t lag,
                 float factor = 1);
  void add_frames();
  void add_level(size_t i);
  Operation upsampling(size_t i, int64_t input_rows);
  void add_resblocks(size_t i);
  Operation resblock_layer(size_t i, size_t b, int64_t layer, int64_t lag, Block& block);
  void add_up(Operation& last, size_t k, int total, int out);
  void add_samples();

  // Convolutions of residual block b.
  int64_t depth(size_t b) const {
    const auto dilations = static_cast<int64_t>(dims_.resblock_dilation_sizes[b].size());
    return dims_.resblock == 1 ? 2 * dilations : dilations;
  }
  bool inner(int64_t layer) const { return dims_.resblock == 1 && layer % 2 == 0; }
  nn::ConvolutionShape shape(size_t b, int64_t layer, int64_t channels) const {
    const auto& dilations = dims_.resblock_dilation_sizes[b];
    const auto pair = static_cast<size_t>(dims_.resblock == 1 ? layer / 2 : layer);
    return {.inputs = channels,
            .outputs = channels,
            .kernel = dims_.resblock_kernel_sizes[b],
            .dilation = dims_.resblock == 2 || inner(layer) ? dilations[pair] : 1};
  }
  int64_t reach(size_t b, int64_t layer) const {
    const nn::ConvolutionShape s = shape(b, layer, 1);
    return (s.kernel - 1) / 2 * s.dilation;
  }
  int64_t reach(size_t b) const {
    int64_t total = 0;
    for (int64_t layer = 0; layer < depth(b); ++layer) total += reach(b, layer);
    return total;
  }

  Network& net_;
  const stage::HifiGanDims& dims_;
  std::string name_;  // of the stage
  stage::LayerReader read_;
  DType type_;  // of activations between the first and the last convolution
  nn::ThreadTeam& team_;
  int output_ = -1;  // of the level: what the next one reads
};

int HifiGan::Network::Builder::add_line(int64_t channels, DType type, int64_t lag) {
  const auto id = static_cast<int>(net_.lines.size());
  net_.lines.push_back(
      {.channels = nn::padded_channels(channels), .type = type, .rows = level().rows, .lag = lag});
  level().lines.push_back(id);
  return id;
}

// The rows of `id` from `left` rows before those that lie at the times of a line with `lag`.
View HifiGan::Network::Builder::view(int id, int64_t lag, int64_t left) {
  const int64_t back = lag - line(id).lag + left;
  line(id).history = std::max(line(id).history, back);
  return {id, -back};
}

nn::Convolution HifiGan::Network::Builder::pack(const nn::ConvolutionShape& shape,
                                                const nn::Buffer& weight, const nn::Buffer& bias,
                                                DType type) const {
  return {shape, Tensor(weight.data(), {shape.outputs, shape.inputs, shape.kernel}, DType::kF32),
          Tensor(bias.data(), {shape.outputs}, DType::kF32), type, team_};
}

// A convolution that keeps the length.
Operation HifiGan::Network::Builder::same(const std::string& name, nn::ConvolutionShape shape,
                                          int in, int64_t lag, float factor) {
  const int64_t slice = shape.outputs >= kManyChannels ? kMaxSliceRows : kMaxSliceRows / 2;
  shape.rows = largest_divisor(level().rows, slice);
  const Shape dims = {shape.outputs, shape.inputs, shape.kernel};
  const nn::Buffer weight = read_.f32(name + ".weight", dims);
  for (int64_t i = 0; i < dims.elements(); ++i) weight.as<float>()[i] *= factor;
  const nn::Buffer bias = read_.f32(name + ".bias", {shape.outputs});
  return {.name = name_ + "." + name,
          .convolution = pack(shape, weight, bias, line(in).type),
          .in = view(in, lag, (shape.kernel - 1) / 2 * shape.dilation)};
}

void HifiGan::Network::Builder::add_frames() {
  net_.levels.push_back({.name = name_ + ".levels.0", .rate = 1, .rows = net_.block_frames});
  net_.mel_line = add_line(dims_.model_in_dim, DType::kF32, 0);
  const int64_t lag = (kEndKernel - 1) / 2;
  Operation pre = same("conv_pre",
                       {.inputs = dims_.model_in_dim,
                        .outputs = dims_.upsample_initial_channel,
                        .kernel = kEndKernel},
                       net_.mel_line, lag);
  level().output = output_ = pre.activated = add_line(dims_.upsample_initial_channel, type_, lag);
  pre.slope = slope();
  level().layers.emplace_back().operations.push_back(std::move(pre));
}

void HifiGan::Network::Builder::add_level(size_t i) {
  const int64_t rate = dims_.upsample_rates[i];
  const int64_t padding = (dims_.upsample_kernel_sizes[i] - rate) / 2;
  const int64_t channels = nn::padded_channels(dims_.channels(i + 1));
  const Level& above = level();
  const int64_t input_rows = largest_divisor(
      above.rows, std::max<int64_t>(1, line_elements(channels) / (rate * channels)));
  Level next = {.name = name_ + ".levels." + std::to_string(net_.levels.size()),
                .rate = above.rate * rate,
                .rows = input_rows * rate,
                .start = rate * (above.start - line(output_).lag) - padding,
                .steps = above.rows / input_rows,
                .input_rows = input_rows};
  net_.levels.push_back(std::move(next));
  Operation up = upsampling(i, input_rows);
  up.sum = add_line(channels, DType::kF32, 0);
  up.activated = add_line(channels, type_, 0);
  up.slope = slope();
  level().layers.emplace_back().operations.push_back(std::move(up));
}

// A transposed convolution with stride r as one convolution that makes the r outputs between two
// inputs side by side: output q r + phase (counted before the padding) is the sum over taps j of
// input q - j times kernel element phase + j r.
Operation HifiGan::Network::Builder::upsampling(size_t i, int64_t input_rows) {
  const int64_t rate = dims_.upsample_rates[i];
  const int64_t kernel = dims_.upsample_kernel_sizes[i];
  const int64_t inputs = dims_.channels(i);
  const int64_t outputs = dims_.channels(i + 1);
  const int64_t columns = nn::padded_channels(outputs);
  const int64_t taps = (kernel + rate - 1) / rate;
  const std::string name = "upsampler." + std::to_string(i);
  const nn::Buffer source = read_.f32(name + ".weight", {inputs, outputs, kernel});
  const nn::Buffer source_bias = read_.f32(name + ".bias", {outputs});
  const float factor = i == 0 ? 1 : mean_factor();
  const nn::Buffer weight(static_cast<size_t>(rate * columns * inputs * taps) * sizeof(float));
  const nn::Buffer bias(static_cast<size_t>(rate * columns) * sizeof(float));
  for (int64_t phase = 0; phase < rate; ++phase) {
    for (int64_t n = 0; n < outputs; ++n) {
      bias.as<float>()[phase * columns + n] = source_bias.as<float>()[n];
      for (int64_t c = 0; c < inputs; ++c) {
        for (int64_t j = 0; j < taps && phase + j * rate < kernel; ++j) {
          weight.as<float>()[((phase * columns + n) * inputs + c) * taps + taps - 1 - j] =
              factor * source.as<float>()[(c * outputs + n) * kernel + phase + j * rate];
        }
      }
    }
  }
  const nn::ConvolutionShape shape = {.inputs = inputs,
                                      .outputs = rate * columns,
                                      .kernel = taps,
                                      .rows = largest_divisor(input_rows, kMaxSliceRows)};
  return {.name = name_ + "." + name,
          .convolution = pack(shape, weight, bias, line(output_).type),
          .in = view(output_, line(output_).lag, taps - 1),
          .expand = rate};
}

void HifiGan::Network::Builder::add_resblocks(size_t i) {
  const bool last_level = i + 1 == dims_.upsample_rates.size();
  const int64_t channels = dims_.channels(i + 1);
  int64_t lag = 0;    // of the level's output
  int64_t depth = 0;  // layers
  for (size_t b = 0; b < blocks(); ++b) {
    lag = std::max(lag, reach(b));
    depth = std::max(depth, this->depth(b));
  }
  const Operation& up = level().layers.back().operations.back();
  std::vector<Block> progress(blocks(), Block{up.sum, up.activated});
  std::vector<Layer> layers(static_cast<size_t>(depth));
  layers.back().in_turn = true;
  const int total = add_line(channels, DType::kF32, lag);
  const int out = add_line(channels, last_level ? DType::kF32 : type_, lag);
  // The longest kernels first: their work is the longest.
  for (size_t k = 0; k < blocks(); ++k) {
    const size_t b = blocks() - 1 - k;
    int64_t behind = lag - reach(b);  // a shorter block waits, to end with the others
    for (int64_t layer = 0; layer < this->depth(b); ++layer) {
      behind += reach(b, layer);
      Operation operation = resblock_layer(i, b, layer, behind, progress[b]);
      if (layer + 1 == this->depth(b)) add_up(operation, k, total, out);
      operation.slope = layer + 1 == this->depth(b) && last_level ? kLastSlope : slope();
      layers[static_cast<size_t>(depth - this->depth(b) + layer)].operations.push_back(
          std::move(operation));
    }
  }
  for (Layer& layer : layers) level().layers.push_back(std::move(layer));
  level().output = output_ = out;
}

// Convolution `layer` of residual block b, whose output lags by `lag`. The last one is left without
// an output.
Operation HifiGan::Network::Builder::resblock_layer(size_t i, size_t b, int64_t layer, int64_t lag,
                                                    Block& block) {
  const int64_t channels = dims_.channels(i + 1);
  const int64_t pair = dims_.resblock == 1 ? layer / 2 : layer;
  const std::string kind = dims_.resblock == 2 ? "convs" : inner(layer) ? "convs1" : "convs2";
  const std::string name =
      "resblocks." + std::to_string(i * blocks() + b) + "." + kind + "." + std::to_string(pair);
  Operation operation = same(name, shape(b, layer, channels), block.activated, lag);
  if (inner(layer)) {
    block.activated = operation.activated = add_line(channels, type_, lag);
    return operation;
  }
  operation.add[0] = view(block.raw, lag);
  if (layer + 1 == depth(b)) return operation;
  block.raw = operation.sum = add_line(channels, DType::kF32, lag);
  block.activated = operation.activated = add_line(channels, type_, lag);
  return operation;
}

// The last convolution of the k-th residual block adds to those before it.
void HifiGan::Network::Builder::add_up(Operation& last, size_t k, int total, int out) {
  if (k > 0) last.add[1] = {total, 0};
  if (k + 1 < blocks()) {
    last.sum = total;
  } else {
    last.activated = out;
  }
}

void HifiGan::Network::Builder::add_samples() {
  const int64_t lag = line(output_).lag + (kEndKernel - 1) / 2;
  Operation post = same(
      "conv_post",
      {.inputs = dims_.channels(dims_.upsample_rates.size()), .outputs = 1, .kernel = kEndKernel},
      output_, lag, mean_factor());
  net_.samples_line = post.sum = add_line(1, DType::kF32, lag);
  level().layers.emplace_back().operations.push_back(std::move(post));
}

HifiGan::Network::Network(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team,
                          const HifiGanOptions& options)
    : dims((stage.require_kind(stage::kHifiGanKind),
            stage::parse_hifigan_dims(stage.config(), stage.name()))),
      mel(stage::mel_contract(stage)) {
  if (mel.hop_length != dims.hop_length() || mel.n_mels != dims.model_in_dim)
    throw Error(stage.name(),
                "its mel contract has another hop or number of bands than its layers");
  if (options.block_frames < 1) throw Error("vocoder", "block_frames must be at least 1");
  block_frames = options.block_frames;
  if (dims.normalize_before) {
    const stage::LayerReader read(stage.weights(), team);
    mean = read.f32("mean", {dims.model_in_dim});
    scale = read.f32("scale", {dims.model_in_dim});
  }
  Builder(*this, stage, activation_type(precision), team).build();
}

}  // namespace parley::vocoder
