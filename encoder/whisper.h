// Whisper's audio encoder: log-mel frames in, features out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/nn/attention.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"

namespace parley::encoder {

// Immutable after construction; any number of contexts may run it.
// Reference: Radford et al. 2022, §2.2; openai/whisper model.py, AudioEncoder.
class WhisperEncoder {
 public:
  // Packs the weights of a stage of kind "whisper_encoder" for this CPU, shared by the team. Throws
  // Error naming the field or tensor at fault.
  WhisperEncoder(const stage::Stage& stage, nn::Precision precision, const nn::Packing& packing);

  int64_t n_mels() const { return n_mels_; }
  int64_t frames() const { return 2 * positions_; }  // of log-mel in a window
  int64_t positions() const { return positions_; }   // of features
  int64_t d_model() const { return d_model_; }
  size_t bytes() const;

  // mel: f32 [frames, n_mels] -> features: f32 [positions, d_model]. The stop token is looked at
  // before each layer.
  void run(nn::Context& ctx, const nn::Tensor& mel, const nn::Tensor& features) const;

 private:
  struct Block {
    std::string name;  // "encoder.layers.0"
    nn::LayerNorm attention_norm;
    nn::Weight qkv;  // the three projections one under another
    nn::Weight out;
    nn::LayerNorm mlp_norm;
    nn::Weight mlp_in;
    nn::Weight mlp_out;
  };

  std::string name_;  // of the stage
  int64_t n_mels_;
  int64_t positions_;
  int64_t d_model_;
  int64_t heads_;
  nn::Conv1d conv1_;
  nn::Conv1d conv2_;
  nn::Buffer position_embedding_;  // f32 [positions, d_model]
  std::vector<Block> blocks_;
  nn::LayerNorm final_norm_;
};

}  // namespace parley::encoder
