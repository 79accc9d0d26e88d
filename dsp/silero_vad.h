// Silero's voice detector, versions 5 and 6, for 16 kHz: a small convolutional network over a short
// spectrum and an LSTM. Reference: snakers4/silero-vad, src/silero_vad/tinygrad_model.py and the
// published silero_vad.jit.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"

namespace parley::dsp {

// The network's tensors under the shapes of the published silero_vad_16k.safetensors; views that
// are only read while a SileroModel is made.
struct SileroWeights {
  struct Layer {
    nn::Tensor weight;
    nn::Tensor bias;
  };
  nn::Tensor stft;                   // [258, 1, 256]: cosines, then sines
  std::array<Layer, 4> convolution;  // [128, 129, 3], [64, 128, 3], [64, 64, 3], [128, 64, 3]
  Layer lstm_input;                  // [512, 128]: gates i, f, g, o
  Layer lstm_hidden;                 // [512, 128]
  Layer output;                      // [1, 128, 1]
};

// Packed; immutable, shared by any number of streams.
class SileroModel {
 public:
  explicit SileroModel(const SileroWeights& weights);

 private:
  friend class SileroVad;
  nn::Weight stft_;
  std::array<nn::Conv1d, 4> convolution_;
  nn::Weight lstm_input_;
  nn::Weight lstm_hidden_;
  nn::Weight output_;
};

// One stream. Belongs to one thread at a time, and computes on that thread alone.
class SileroVad {
 public:
  static constexpr int kFrame = 512;   // samples
  static constexpr int kContext = 64;  // of the frame before, which the network sees again

  explicit SileroVad(std::shared_ptr<const SileroModel> model);

  // The probability of speech in the next frame of the stream.
  float process(std::span<const float, kFrame> frame);

 private:
  static constexpr int kHidden = 128;
  static constexpr int kPadding = 64;  // samples mirrored at the end

  nn::Tensor features(std::span<const float, kFrame> frame);

  std::shared_ptr<const SileroModel> model_;
  nn::Context ctx_{{.threads = 1}};
  std::array<float, kContext + kFrame + kPadding> samples_{};
  std::array<float, kHidden> hidden_{};
  std::array<float, kHidden> cell_{};
};

}  // namespace parley::dsp
