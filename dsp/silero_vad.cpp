#include "parley/dsp/silero_vad.h"

#include <algorithm>
#include <cmath>

namespace parley::dsp {

using nn::DType;
using nn::Tensor;

namespace {

constexpr nn::Compute kCompute = nn::Compute::kF32Few;
constexpr int64_t kWindow = 256;  // samples
constexpr int64_t kHop = 128;
constexpr int64_t kBins = kWindow / 2 + 1;
constexpr std::array<int64_t, 4> kStrides = {1, 2, 2, 1};

float sigmoid(float x) { return 1.f / (1.f + std::exp(-x)); }

void relu(const Tensor& x) {
  for (float& value : std::span(x.f32(), static_cast<size_t>(x.shape.elements())))
    value = std::max(value, 0.f);
}

nn::Weight matrix(const Tensor& weight, const Tensor& bias, nn::ThreadTeam& team) {
  const int64_t outputs = weight.shape[0];
  const Tensor flat(weight.data, {outputs, weight.shape.elements() / outputs}, weight.dtype);
  return {nn::WeightSource{{{flat, bias}}}, kCompute, team};
}

}  // namespace

SileroModel::SileroModel(const SileroWeights& weights) {
  nn::ThreadTeam alone(1);
  stft_ = matrix(weights.stft, {}, alone);
  for (size_t i = 0; i < convolution_.size(); ++i) {
    const auto& [weight, bias] = weights.convolution[i];
    convolution_[i] = nn::Conv1d::pack(weight, bias, kStrides[i], 1, kCompute, alone);
  }
  lstm_input_ = matrix(weights.lstm_input.weight, weights.lstm_input.bias, alone);
  lstm_hidden_ = matrix(weights.lstm_hidden.weight, weights.lstm_hidden.bias, alone);
  output_ = matrix(weights.output.weight, weights.output.bias, alone);
}

SileroVad::SileroVad(std::shared_ptr<const SileroModel> model) : model_(std::move(model)) {}

// What the LSTM sees of a frame: [1, 128].
Tensor SileroVad::features(std::span<const float, kFrame> frame) {
  const auto begin = samples_.begin() + kContext;
  const auto end = std::copy(frame.begin(), frame.end(), begin);
  std::reverse_copy(end - 1 - kPadding, end - 1, end);  // mirrored, without the last sample itself
  const int64_t windows = (static_cast<int64_t>(samples_.size()) - kWindow) / kHop + 1;
  const Tensor spectrum = nn::linear(
      ctx_, model_->stft_, Tensor(samples_.data(), {windows, kWindow}, DType::kF32, kHop));
  Tensor x = ctx_.allocate({windows, kBins});  // magnitudes
  for (int64_t t = 0; t < windows; ++t) {
    for (int64_t bin = 0; bin < kBins; ++bin)
      x.row(t)[bin] = std::hypot(spectrum.row(t)[bin], spectrum.row(t)[kBins + bin]);
  }
  for (const nn::Conv1d& convolution : model_->convolution_) {
    x = nn::conv1d(ctx_, convolution, x);
    relu(x);
  }
  std::copy(end - kContext, end, samples_.begin());
  return x;
}

float SileroVad::process(std::span<const float, kFrame> frame) {
  ctx_.bind_to_this_thread();
  const nn::Scope scope(ctx_);
  const Tensor gates = nn::linear(ctx_, model_->lstm_input_, features(frame));  // [1, 4 * 128]
  nn::linear(ctx_, model_->lstm_hidden_, Tensor(hidden_.data(), {1, kHidden}, DType::kF32),
             {.residual = gates});
  const float* input = gates.f32();
  const float* forget = input + kHidden;
  const float* candidate = forget + kHidden;
  const float* output = candidate + kHidden;
  const Tensor heard = ctx_.allocate({1, kHidden});
  for (size_t i = 0; i < kHidden; ++i) {
    cell_[i] = sigmoid(forget[i]) * cell_[i] + sigmoid(input[i]) * std::tanh(candidate[i]);
    hidden_[i] = sigmoid(output[i]) * std::tanh(cell_[i]);
    heard.f32()[i] = std::max(hidden_[i], 0.f);
  }
  return sigmoid(nn::linear(ctx_, model_->output_, heard).f32()[0]);
}

}  // namespace parley::dsp
