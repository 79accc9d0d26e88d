// SpeechT5's text encoder: the characters of a sentence in, features out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/nn/attention.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"

namespace parley::encoder {

// Immutable after construction; any number of contexts may run it.
// Reference: Ao et al. 2022; transformers modeling_speecht5.py, SpeechT5EncoderWithTextPrenet.
class SpeechT5TextEncoder {
 public:
  // Packs the weights of a stage of kind "speecht5_text_encoder" for this CPU, shared by the team.
  // Throws Error naming the field or tensor at fault.
  SpeechT5TextEncoder(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team);

  int64_t vocab_size() const { return vocab_size_; }
  int64_t d_model() const { return d_model_; }
  int64_t max_tokens() const { return max_tokens_; }  // in a sentence, its end included
  // In the longest sentence that it learned from, the end left out; above, speech may turn into
  // babble. All that there is room for where the model does not say.
  int64_t learned_size() const { return learned_size_; }
  // Whether it is to be given the names of letters: "eff bee I" for "F B I".
  bool letter_names() const { return letter_names_; }
  size_t bytes() const;

  // tokens: at most max_tokens() -> features: f32 [tokens, d_model], in scratch of the context.
  // The stop token is looked at before each layer. Throws Error for too many tokens, or none, and
  // for ids outside the vocabulary.
  nn::Tensor run(nn::Context& ctx, std::span<const int32_t> tokens) const;

 private:
  struct Block {
    std::string name;  // "text_encoder.layers.0"
    nn::Weight qkv;    // the three projections one under another
    nn::Weight out;
    nn::LayerNorm attention_norm;
    nn::Weight mlp_in;
    nn::Weight mlp_out;
    nn::LayerNorm mlp_norm;
  };

  nn::Tensor embed(nn::Context& ctx, std::span<const int32_t> tokens) const;

  std::string name_;  // of the stage
  int64_t vocab_size_;
  int64_t d_model_;
  int64_t heads_;
  int64_t max_tokens_;
  int64_t learned_size_;
  bool letter_names_;
  nn::Buffer token_embedding_;  // f32 [vocab_size, d_model]
  nn::Buffer positions_;        // f32 [max_tokens, d_model], scaled by alpha
  nn::Weight relative_keys_;    // [2 * max distance, head_dim]
  nn::LayerNorm first_norm_;
  std::vector<Block> blocks_;
};

}  // namespace parley::encoder
