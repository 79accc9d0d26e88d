#include "parley/encoder/whisper.h"

#include <cassert>
#include <cstring>
#include <string>

#include "parley/core/model/layers.h"
#include "parley/core/model/whisper.h"

namespace parley::encoder {

using nn::Activation;
using nn::DType;
using nn::Shape;
using nn::Tensor;

WhisperEncoder::WhisperEncoder(const stage::Stage& stage, nn::Precision precision,
                               const nn::Packing& packing)
    : name_(stage.name()) {
  const stage::WhisperDims dims = stage::whisper_encoder_dims(stage);
  n_mels_ = dims.num_mel_bins;
  positions_ = dims.max_source_positions;
  d_model_ = dims.d_model;
  heads_ = dims.encoder_attention_heads;
  const nn::Compute compute = nn::compute_for(precision, nn::Rows::kMany);
  // The first convolution sees log-mel values, whose rounding to 8 bits would be heard by every
  // layer; it is 2 % of the work.
  const nn::Compute first = compute == nn::Compute::kInt8Many
                                ? nn::compute_for(nn::Precision::kF32, nn::Rows::kMany)
                                : compute;
  const int64_t d = d_model_;
  const int64_t ffn = dims.encoder_ffn_dim;

  const stage::LayerReader read(stage, packing);
  conv1_ = read.conv1d(
      "conv1", {.outputs = d, .inputs = n_mels_, .kernel = 3, .stride = 1, .padding = 1}, first);
  conv2_ = read.conv1d("conv2", {.outputs = d, .inputs = d, .kernel = 3, .stride = 2, .padding = 1},
                       compute);
  position_embedding_ = read.f32("embed_positions.weight", {positions_, d});

  for (int64_t i = 0; i < dims.encoder_layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const std::string attention = layer + "self_attn.";
    blocks_.push_back({.name = name_ + ".layers." + std::to_string(i),
                       .attention_norm = read.norm(layer + "self_attn_layer_norm", d),
                       .qkv = read.pack({read.part(attention + "q_proj", d, d),
                                         read.part(attention + "k_proj", d, d, /*bias=*/false),
                                         read.part(attention + "v_proj", d, d)},
                                        compute),
                       .out = read.linear(attention + "out_proj", d, d, compute),
                       .mlp_norm = read.norm(layer + "final_layer_norm", d),
                       .mlp_in = read.linear(layer + "fc1", ffn, d, compute),
                       .mlp_out = read.linear(layer + "fc2", d, ffn, compute)});
  }
  final_norm_ = read.norm("layer_norm", d);
}

size_t WhisperEncoder::bytes() const {
  size_t total = conv1_.weight.bytes() + conv2_.weight.bytes() + position_embedding_.size();
  for (const Block& block : blocks_)
    total += block.qkv.bytes() + block.out.bytes() + block.mlp_in.bytes() + block.mlp_out.bytes();
  return total;
}

void WhisperEncoder::run(nn::Context& ctx, const Tensor& mel, const Tensor& features) const {
  assert(mel.shape == (Shape{frames(), n_mels_}) &&
         features.shape == (Shape{positions_, d_model_}));
  const nn::Scope scope(ctx);
  const Tensor x = ctx.allocate({positions_, d_model_});
  std::memcpy(x.data, position_embedding_.data(), x.bytes());
  {
    const nn::Scope convolutions(ctx);
    const Tensor hidden =
        nn::conv1d(ctx, conv1_, mel, {.activation = Activation::kGelu});  // [frames, d_model]
    nn::conv1d(ctx, conv2_, hidden,
               {.activation = Activation::kGelu, .residual = x});  // x = positions + gelu(conv)
  }
  ctx.show(name_ + ".embedded", x);
  for (const Block& block : blocks_) {
    ctx.throw_if_stopped();
    const nn::Scope layer(ctx);
    const DType type = block.qkv.activation_type();
    const Tensor qkv =
        nn::linear(ctx, block.qkv,
                   nn::layer_norm(ctx, block.attention_norm, x, type));  // [positions, 3 d_model]
    nn::linear(ctx, block.out, nn::self_attention(ctx, qkv, heads_, block.qkv.compute()),
               {.residual = x});  // x += W a + b
    nn::feed_forward(ctx, block.mlp_norm, block.mlp_in, block.mlp_out, x);
    ctx.show(block.name, x);
  }
  nn::layer_norm(ctx, final_norm_, x, features);
}

}  // namespace parley::encoder
