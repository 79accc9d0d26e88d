#include "parley/encoder/speecht5_text.h"

#include <algorithm>
#include <string>

#include "parley/core/base/error.h"
#include "parley/core/model/layers.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/nn/positions.h"

namespace parley::encoder {

using nn::Activation;
using nn::DType;
using nn::Tensor;

SpeechT5TextEncoder::SpeechT5TextEncoder(const stage::Stage& stage, nn::Precision precision,
                                         nn::ThreadTeam& team)
    : name_(stage.name()) {
  const stage::SpeechT5Dims dims = stage::text_encoder_dims(stage);
  vocab_size_ = dims.vocab_size;
  d_model_ = dims.hidden_size;
  heads_ = dims.encoder_attention_heads;
  max_tokens_ = dims.max_text_positions;
  const int64_t learned = dims.learned_size > 0 ? dims.learned_size : max_tokens_;
  learned_size_ = std::max<int64_t>(1, std::min(learned, max_tokens_ - 1));
  letter_names_ = dims.letter_names;
  const nn::Compute compute = nn::compute_for(precision, nn::Rows::kMany);
  const int64_t d = d_model_;
  const int64_t ffn = dims.encoder_ffn_dim;
  const int64_t distance = dims.encoder_max_relative_position;
  const auto epsilon = static_cast<float>(dims.layer_norm_eps);

  const stage::LayerReader read(stage, team);
  const auto norm = [&](const std::string& name) {
    nn::LayerNorm layer = read.norm(name, d);
    layer.epsilon = epsilon;
    return layer;
  };
  const nn::StoredMatrix embedding = read.matrix("embed_tokens.weight", {vocab_size_, d});
  token_embedding_ = nn::Buffer(static_cast<size_t>(vocab_size_ * d) * sizeof(float));
  for (int64_t i = 0; i < vocab_size_; ++i)
    nn::dequantize_row(embedding, i, token_embedding_.as<float>() + i * d);
  positions_ = nn::sinusoids(max_tokens_, d, *read.f32("encode_positions.alpha", {}).as<float>());
  relative_keys_ =
      read.pack({{read.matrix("embed_positions.pe_k.weight", {2 * distance, d / heads_}), {}}},
                nn::Compute::kF32Few);
  first_norm_ = norm("layer_norm");
  for (int64_t i = 0; i < dims.encoder_layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const std::string attention = layer + "attention.";
    blocks_.push_back(
        {.name = name_ + ".layers." + std::to_string(i),
         .qkv = read.pack(
             {read.part(attention + "q_proj", d, d), read.part(attention + "k_proj", d, d),
              read.part(attention + "v_proj", d, d)},
             compute),
         .out = read.linear(attention + "out_proj", d, d, compute),
         .attention_norm = norm(layer + "layer_norm"),
         .mlp_in = read.linear(layer + "feed_forward.intermediate_dense", ffn, d, compute),
         .mlp_out = read.linear(layer + "feed_forward.output_dense", d, ffn, compute),
         .mlp_norm = norm(layer + "final_layer_norm")});
  }
}

size_t SpeechT5TextEncoder::bytes() const {
  size_t total = token_embedding_.size() + positions_.size() + relative_keys_.bytes();
  for (const Block& block : blocks_)
    total += block.qkv.bytes() + block.out.bytes() + block.mlp_in.bytes() + block.mlp_out.bytes();
  return total;
}

Tensor SpeechT5TextEncoder::embed(nn::Context& ctx, std::span<const int32_t> tokens) const {
  const auto count = static_cast<int64_t>(tokens.size());
  if (count < 1 || count > max_tokens_) {
    throw Error("", "a sentence of " + std::to_string(count) +
                        " characters; the model takes 1 to " + std::to_string(max_tokens_));
  }
  const Tensor x = ctx.allocate({count, d_model_});
  for (int64_t i = 0; i < count; ++i) {
    const int32_t token = tokens[static_cast<size_t>(i)];
    if (token < 0 || token >= vocab_size_)
      throw Error("", "token " + std::to_string(token) + " is outside the vocabulary");
    const float* embedding = token_embedding_.as<float>() + token * d_model_;
    const float* position = positions_.as<float>() + i * d_model_;
    for (int64_t k = 0; k < d_model_; ++k) x.row(i)[k] = embedding[k] + position[k];
  }
  return x;
}

Tensor SpeechT5TextEncoder::run(nn::Context& ctx, std::span<const int32_t> tokens) const {
  const Tensor x = embed(ctx, tokens);
  nn::layer_norm(ctx, first_norm_, x, x);
  ctx.show(name_ + ".embedded", x);
  for (const Block& block : blocks_) {  // norms come after what is added
    ctx.throw_if_stopped();
    const nn::Scope layer(ctx);
    const Tensor qkv = nn::linear(ctx, block.qkv, x);  // [tokens, 3 d_model]
    nn::linear(ctx, block.out, nn::self_attention(ctx, qkv, heads_, relative_keys_),
               {.residual = x});
    nn::layer_norm(ctx, block.attention_norm, x, x);
    const Tensor hidden = nn::linear(ctx, block.mlp_in, x, {.activation = Activation::kGelu});
    nn::linear(ctx, block.mlp_out, hidden, {.residual = x});
    nn::layer_norm(ctx, block.mlp_norm, x, x);
    ctx.show(block.name, x);
  }
  return x;
}

}  // namespace parley::encoder
