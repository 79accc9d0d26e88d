#include "parley/vocoder/hifigan.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "parley/core/nn/measured.h"
#include "parley/vocoder/hifigan_network.h"

namespace parley::vocoder {

namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max() / 8192;  // times any rate

// One step of a layer: operations beside each other are told of as one, under the name of the
// first.
nn::Operation describe(const Layer& layer, int64_t rows) {
  const Operation& first = layer.operations.front();
  nn::Operation told{.name = first.name,
                     .kind = "convolution",
                     .kernel = first.convolution.kernel(),
                     .isa = first.convolution.kernel_isa()};
  if (layer.operations.size() > 1) told.name += " +" + std::to_string(layer.operations.size() - 1);
  for (const Operation& operation : layer.operations) {
    const nn::ConvolutionShape& shape = operation.convolution.shape();
    const auto steps = static_cast<double>(rows / operation.expand);
    const auto element = static_cast<double>(nn::size_of(operation.convolution.type()));
    told.flops += 2 * steps * static_cast<double>(shape.inputs * shape.outputs * shape.kernel);
    told.bytes += static_cast<double>(operation.convolution.bytes()) +
                  steps * element * static_cast<double>(shape.inputs + shape.outputs);
  }
  return told;
}

}  // namespace

struct HifiGanStream::State {
  explicit State(const HifiGan::Network& network) : net(network), steps(network.levels.size()) {
    for (const Line& line : net.lines)
      lines.emplace_back(static_cast<size_t>((line.history + line.rows) * line.row_bytes()));
  }

  // Row `offset` of the current step; negative: of the history.
  std::byte* row(int line, int64_t offset) {
    const Line& plan = net.lines[static_cast<size_t>(line)];
    return lines[static_cast<size_t>(line)].data() + (plan.history + offset) * plan.row_bytes();
  }

  void take(const nn::Tensor& mel, int64_t begin, int64_t count);
  void run_block(nn::Context& ctx, std::vector<float>& samples);
  void run_level(nn::Context& ctx, size_t index, int64_t part, std::vector<float>& samples);
  void run_layer(nn::Context& ctx, const Level& level, const Layer& layer, int64_t step,
                 int64_t input_shift);
  void run_slice(const Level& level, const Operation& operation, int64_t step, int64_t slice,
                 int64_t group, int64_t input_shift, std::byte* scratch);
  // Rows [begin, end) of the current step of a line that lie in the utterance.
  struct Span {
    int64_t begin;
    int64_t end;
  };
  Span inside(const Level& level, int line, int64_t step) const;
  void clear_outside(const Level& level, int line, int64_t step);
  void show(nn::Context& ctx, const Level& level, int64_t step);
  void keep_history(const Level& level);
  void emit(const Level& level, int64_t step, std::vector<float>& samples);

  const HifiGan::Network& net;
  std::vector<nn::Buffer> lines;
  std::vector<int64_t> steps;  // done, of each level
  int64_t frames = 0;          // taken
  int64_t pending = 0;         // of them in the block that is not complete
  int64_t total = kUnknown;    // frames of the utterance
  int64_t emitted = 0;         // samples
};

// Normalized frames, into the block.
void HifiGanStream::State::take(const nn::Tensor& mel, int64_t begin, int64_t count) {
  const int64_t bands = net.dims.model_in_dim;
  for (int64_t t = 0; t < count; ++t) {
    auto* out = reinterpret_cast<float*>(row(net.mel_line, pending + t));
    std::copy_n(mel.row(begin + t), bands, out);
    if (net.mean.size() == 0) continue;
    for (int64_t k = 0; k < bands; ++k)
      out[k] = (out[k] - net.mean.as<float>()[k]) / net.scale.as<float>()[k];
  }
  pending += count;
  frames += count;
}

void HifiGanStream::State::run_block(nn::Context& ctx, std::vector<float>& samples) {
  clear_outside(net.levels[0], net.mel_line, steps[0]);
  run_level(ctx, 0, 0, samples);
  pending = 0;
}

// One step of a level, on part `part` of the rows that the level above has just made, and all the
// steps of the levels below that follow from it.
void HifiGanStream::State::run_level(nn::Context& ctx, size_t index, int64_t part,
                                     std::vector<float>& samples) {
  const Level& level = net.levels[index];
  const int64_t step = steps[index];
  int64_t input_shift = part * level.input_rows;  // only the first layer reads the level above
  for (const Layer& layer : level.layers) {
    ctx.throw_if_stopped();
    run_layer(ctx, level, layer, step, input_shift);
    input_shift = 0;
  }
  show(ctx, level, step);
  if (index + 1 < net.levels.size()) {
    for (int64_t i = 0; i < net.levels[index + 1].steps; ++i) run_level(ctx, index + 1, i, samples);
  } else {
    emit(level, step, samples);
  }
  keep_history(level);
  ++steps[index];
}

void HifiGanStream::State::run_layer(nn::Context& ctx, const Level& level, const Layer& layer,
                                     int64_t step, int64_t input_shift) {
  const nn::Measured measured(ctx, [&] { return describe(layer, level.rows); });
  const nn::Scope scope(ctx);
  const auto& operations = layer.operations;
  size_t scratch_bytes = 0;
  for (const Operation& operation : operations)
    scratch_bytes = std::max(scratch_bytes, operation.convolution.scratch_bytes());
  const nn::Tensor scratch = ctx.allocate(
      {ctx.threads(), (static_cast<int64_t>(scratch_bytes) + 63) / 64 * 64}, nn::DType::kU8);

  // Slices and groups are the same for all operations of a layer.
  const Operation& first = operations.front();
  const int64_t groups = first.convolution.groups();
  const int64_t slices = level.rows / (first.convolution.shape().rows * first.expand);
  const auto kinds = layer.in_turn ? 1 : static_cast<int64_t>(operations.size());
  ctx.parallel(kinds * slices * groups, [&](int64_t task, int thread) {
    std::byte* memory = scratch.as<std::byte>() + thread * scratch.cols();
    const int64_t group = task % groups;
    const int64_t slice = task / groups % slices;
    const auto run = [&](const Operation& operation) {
      run_slice(level, operation, step, slice, group, input_shift, memory);
    };
    if (layer.in_turn) {
      for (const Operation& operation : operations) run(operation);
    } else {
      run(operations[static_cast<size_t>(task / (groups * slices))]);
    }
  });
  for (const Operation& operation : operations) {
    if (operation.sum >= 0) clear_outside(level, operation.sum, step);
    if (operation.activated >= 0) clear_outside(level, operation.activated, step);
  }
}

void HifiGanStream::State::run_slice(const Level& level, const Operation& operation, int64_t step,
                                     int64_t slice, int64_t group, int64_t input_shift,
                                     std::byte* scratch) {
  const int64_t input_row = slice * operation.convolution.shape().rows;
  const int64_t row_count = operation.convolution.shape().rows * operation.expand;
  const int64_t output_row = slice * row_count;
  const int64_t time = net.time(level, operation.written(), step) + output_row;
  if (time + row_count <= 0 || time >= total * level.rate) return;  // nothing of the utterance

  nn::ConvolutionEpilogue epilogue;
  epilogue.slope = operation.slope;
  const Line& written = net.lines[static_cast<size_t>(operation.written())];
  epilogue.stride = written.channels * operation.expand;
  for (int i = 0; i < 2; ++i) {
    const View& add = operation.add[i];
    if (add.line >= 0)
      epilogue.add[i] = reinterpret_cast<float*>(row(add.line, add.offset + output_row));
  }
  if (operation.sum >= 0) epilogue.sum = reinterpret_cast<float*>(row(operation.sum, output_row));
  if (operation.activated >= 0) {
    epilogue.activated = row(operation.activated, output_row);
    epilogue.activated_type = net.lines[static_cast<size_t>(operation.activated)].type;
  }
  operation.convolution.run(row(operation.in.line, operation.in.offset + input_shift + input_row),
                            group, epilogue, scratch);
}

HifiGanStream::State::Span HifiGanStream::State::inside(const Level& level, int line,
                                                        int64_t step) const {
  const int64_t rows = net.lines[static_cast<size_t>(line)].rows;
  const int64_t time = net.time(level, line, step);
  const int64_t begin = std::clamp<int64_t>(-time, 0, rows);
  return {begin, std::clamp<int64_t>(total * level.rate - time, begin, rows)};
}

void HifiGanStream::State::show(nn::Context& ctx, const Level& level, int64_t step) {
  const Line& line = net.lines[static_cast<size_t>(level.output)];
  const auto [begin, end] = inside(level, level.output, step);
  if (begin < end)
    ctx.show(level.name, {row(level.output, begin), {end - begin, line.channels}, line.type});
}

// Before and after the utterance there is nothing but zeros, as the padding of every convolution
// wants it.
void HifiGanStream::State::clear_outside(const Level& level, int line, int64_t step) {
  const Line& plan = net.lines[static_cast<size_t>(line)];
  const auto [begin, end] = inside(level, line, step);
  std::memset(row(line, 0), 0, static_cast<size_t>(begin * plan.row_bytes()));
  std::memset(row(line, end), 0, static_cast<size_t>((plan.rows - end) * plan.row_bytes()));
}

void HifiGanStream::State::keep_history(const Level& level) {
  for (const int id : level.lines) {
    const Line& line = net.lines[static_cast<size_t>(id)];
    std::byte* begin = lines[static_cast<size_t>(id)].data();
    std::memmove(begin, begin + line.rows * line.row_bytes(),
                 static_cast<size_t>(line.history * line.row_bytes()));
  }
}

void HifiGanStream::State::emit(const Level& level, int64_t step, std::vector<float>& samples) {
  const Line& line = net.lines[static_cast<size_t>(net.samples_line)];
  const auto [begin, end] = inside(level, net.samples_line, step);
  const auto* rows = reinterpret_cast<const float*>(row(net.samples_line, begin));
  const size_t before = samples.size();
  for (int64_t t = 0; t < end - begin; ++t) samples.push_back(rows[t * line.channels]);
  nn::tanh({samples.data() + before, samples.size() - before});
  emitted += end - begin;
}

HifiGanStream::HifiGanStream(const HifiGan& vocoder)
    : state_(std::make_unique<State>(*vocoder.network_)) {}
HifiGanStream::~HifiGanStream() = default;
HifiGanStream::HifiGanStream(HifiGanStream&&) noexcept = default;

void HifiGanStream::push(nn::Context& ctx, const nn::Tensor& mel, std::vector<float>& samples) {
  assert(mel.cols() == state_->net.dims.model_in_dim && state_->total == kUnknown);
  const int64_t block = state_->net.block_frames;
  for (int64_t begin = 0; begin < mel.rows();) {
    const int64_t count = std::min(mel.rows() - begin, block - state_->pending);
    state_->take(mel, begin, count);
    begin += count;
    if (state_->pending == block) state_->run_block(ctx, samples);
  }
}

void HifiGanStream::finish(nn::Context& ctx, std::vector<float>& samples) {
  state_->total = state_->frames;
  const int64_t wanted = state_->frames * state_->net.dims.hop_length();
  while (state_->emitted < wanted) state_->run_block(ctx, samples);
}

void HifiGanStream::reset() {
  for (const nn::Buffer& line : state_->lines) std::memset(line.data(), 0, line.size());
  std::fill(state_->steps.begin(), state_->steps.end(), 0);
  state_->frames = state_->pending = state_->emitted = 0;
  state_->total = kUnknown;
}

int64_t HifiGanStream::frames() const { return state_->frames; }

size_t HifiGanStream::bytes() const {
  size_t total = 0;
  for (const nn::Buffer& line : state_->lines) total += line.size();
  return total;
}

HifiGan::HifiGan(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team,
                 const HifiGanOptions& options)
    : network_(std::make_unique<Network>(stage, precision, team, options)) {}
HifiGan::~HifiGan() = default;
HifiGan::HifiGan(HifiGan&&) noexcept = default;

int64_t HifiGan::n_mels() const { return network_->dims.model_in_dim; }
int64_t HifiGan::hop_length() const { return network_->dims.hop_length(); }
const stage::MelContract& HifiGan::mel() const { return network_->mel; }
int64_t HifiGan::block_frames() const { return network_->block_frames; }

int64_t HifiGan::receptive_frames() const {
  const int64_t lag = -network_->time(network_->levels.back(), network_->samples_line, 0);
  return (lag + hop_length() - 1) / hop_length();
}

size_t HifiGan::bytes() const {
  size_t total = 0;
  for (const Level& level : network_->levels) {
    for (const Layer& layer : level.layers) {
      for (const Operation& operation : layer.operations) total += operation.convolution.bytes();
    }
  }
  return total;
}

std::vector<float> synthesize(nn::Context& ctx, const HifiGan& vocoder, const nn::Tensor& mel) {
  HifiGanStream stream(vocoder);
  std::vector<float> samples;
  stream.push(ctx, mel, samples);
  stream.finish(ctx, samples);
  return samples;
}

}  // namespace parley::vocoder
