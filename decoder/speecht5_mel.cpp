#include "parley/decoder/speecht5_mel.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>

#include "parley/core/base/error.h"
#include "parley/core/model/layers.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/nn/positions.h"
#include "parley/decoder/kv_attention.h"

namespace parley::decoder {

using nn::Activation;
using nn::DType;
using nn::Tensor;

namespace {

void relu(std::span<float> values) {
  for (float& value : values) value = std::max(value, 0.f);
}

// Columns [begin, begin + count) of a matrix, as f32.
nn::Buffer columns(const nn::StoredMatrix& matrix, int64_t begin, int64_t count) {
  const int64_t rows = matrix.shape[0];
  nn::Buffer out = nn::Buffer::uninitialized(static_cast<size_t>(rows * count) * sizeof(float));
  std::vector<float> row(static_cast<size_t>(matrix.shape[1]));
  for (int64_t r = 0; r < rows; ++r) {
    nn::dequantize_row(matrix, r, row.data());
    std::copy_n(row.begin() + begin, count, out.as<float>() + r * count);
  }
  return out;
}

}  // namespace

SpeechT5MelDecoder::SpeechT5MelDecoder(const stage::Stage& stage, nn::Precision precision,
                                       nn::ThreadTeam& team)
    : name_(stage.name()),
      threshold_(static_cast<float>(stage.config_number("threshold", 0, 64))),
      min_ratio_(stage.config_number("minlenratio", 0, 1000)),
      max_ratio_(stage.config_number("maxlenratio", 0, 1000)) {
  const stage::SpeechT5Dims dims = stage::mel_decoder_dims(stage);
  d_model_ = dims.hidden_size;
  n_mels_ = dims.num_mel_bins;
  reduction_factor_ = dims.reduction_factor;
  speaker_size_ = dims.speaker_embedding_dim;
  prenet_units_ = dims.speech_decoder_prenet_units;
  dropout_ = dims.speech_decoder_prenet_dropout;
  cache_ = decoder::cache_shape(stage.name(), precision, dims.decoder_layers, dims.hidden_size,
                                dims.decoder_attention_heads, dims.max_speech_positions);
  load_prenet(stage, dims, nn::compute_for(nn::Precision::kF32, nn::Rows::kFew), team);
  load_blocks(stage, dims, precision, team);
}

// The prenet and the output layers stay f32: what they round would be heard, and they are small.
void SpeechT5MelDecoder::load_prenet(const stage::Stage& stage, const stage::SpeechT5Dims& dims,
                                     nn::Compute compute, nn::ThreadTeam& team) {
  const stage::LayerReader read(stage, team);
  const int64_t d = d_model_;
  for (int64_t i = 0; i < dims.speech_decoder_prenet_layers; ++i) {
    prenet_.push_back(read.linear("prenet.layers." + std::to_string(i), prenet_units_,
                                  i == 0 ? n_mels_ : prenet_units_, compute));
  }
  prenet_out_ = read.linear("prenet.final_layer", d, prenet_units_, compute);
  positions_ = nn::sinusoids(cache_.max_positions, d,
                             *read.f32("prenet.encode_positions.alpha", {}).as<float>());
  // One matrix over [what the prenet says, speaker] is two products: the second is made once.
  const auto mix = read.part("prenet.speaker_embeds_layer", d, d + speaker_size_);
  const nn::Buffer own = columns(mix.matrix, 0, d);
  const nn::Buffer speaker = columns(mix.matrix, d, speaker_size_);
  speaker_mix_ =
      nn::Weight({{{Tensor(own.data(), {d, d}, DType::kF32), {}, mix.name}}}, compute, team);
  speaker_vector_ =
      nn::Weight({{{Tensor(speaker.data(), {d, speaker_size_}, DType::kF32), mix.bias, mix.name}}},
                 compute, team);
  frames_out_ = read.linear("feat_out", n_mels_ * reduction_factor_, d, compute);
  stop_out_ = read.linear("prob_out", reduction_factor_, d, compute);
}

void SpeechT5MelDecoder::load_blocks(const stage::Stage& stage, const stage::SpeechT5Dims& dims,
                                     nn::Precision precision, nn::ThreadTeam& team) {
  const stage::LayerReader read(stage, team);
  const nn::Compute few = nn::compute_for(precision, nn::Rows::kFew);
  const nn::Compute many = nn::compute_for(precision, nn::Rows::kMany);
  const int64_t d = d_model_;
  const int64_t ffn = dims.decoder_ffn_dim;
  const auto epsilon = static_cast<float>(dims.layer_norm_eps);
  const auto norm = [&](const std::string& name) {
    nn::LayerNorm layer = read.norm(name, d);
    layer.epsilon = epsilon;
    return layer;
  };
  for (int64_t i = 0; i < cache_.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const std::string self = layer + "self_attn.";
    const std::string cross = layer + "encoder_attn.";
    blocks_.push_back(
        {.name = name_ + ".layers." + std::to_string(i),
         .self_qkv = read.pack({read.part(self + "q_proj", d, d), read.part(self + "k_proj", d, d),
                                read.part(self + "v_proj", d, d)},
                               few),
         .self_out = read.linear(self + "out_proj", d, d, few),
         .self_norm = norm(layer + "self_attn_layer_norm"),
         .cross_q = read.linear(cross + "q_proj", d, d, few),
         .cross_kv = read.pack(
             {read.part(cross + "k_proj", d, d), read.part(cross + "v_proj", d, d)}, many),
         .cross_out = read.linear(cross + "out_proj", d, d, few),
         .cross_norm = norm(layer + "encoder_attn_layer_norm"),
         .mlp_in = read.linear(layer + "feed_forward.intermediate_dense", ffn, d, few),
         .mlp_out = read.linear(layer + "feed_forward.output_dense", d, ffn, few),
         .mlp_norm = norm(layer + "final_layer_norm"),
         .alignment_heads = {}});
  }
  for (const auto& [layer, head] :
       stage.config_pairs("alignment_heads", cache_.layers - 1, cache_.heads - 1)) {
    auto& heads = blocks_[static_cast<size_t>(layer)].alignment_heads;
    if (std::find(heads.begin(), heads.end(), head) != heads.end()) continue;
    heads.push_back(head);
    ++alignment_count_;
  }
}

size_t SpeechT5MelDecoder::bytes() const {
  size_t total = positions_.size() + prenet_out_.bytes() + speaker_mix_.bytes() +
                 speaker_vector_.bytes() + frames_out_.bytes() + stop_out_.bytes();
  for (const nn::Weight& weight : prenet_) total += weight.bytes();
  for (const Block& block : blocks_) {
    for (const nn::Weight* weight :
         {&block.self_qkv, &block.self_out, &block.cross_q, &block.cross_kv, &block.cross_out,
          &block.mlp_in, &block.mlp_out}) {
      total += weight->bytes();
    }
  }
  return total;
}

int64_t SpeechT5MelDecoder::min_steps(int64_t tokens) const {
  return static_cast<int64_t>(static_cast<double>(tokens) * min_ratio_ /
                              static_cast<double>(reduction_factor_));
}

int64_t SpeechT5MelDecoder::max_steps(int64_t tokens) const {
  const auto steps = static_cast<int64_t>(static_cast<double>(tokens) * max_ratio_ /
                                          static_cast<double>(reduction_factor_));
  return std::clamp<int64_t>(steps, 1, cache_.max_positions);
}

std::shared_ptr<const CrossState> SpeechT5MelDecoder::listen(nn::Context& ctx,
                                                             const Tensor& features) const {
  return decoder::listen(ctx, cache_, features, [this](int64_t layer) -> const nn::Weight& {
    return blocks_[static_cast<size_t>(layer)].cross_kv;
  });
}

std::vector<float> SpeechT5MelDecoder::speaker(nn::Context& ctx,
                                               std::span<const float> vector) const {
  if (static_cast<int64_t>(vector.size()) != speaker_size_) {
    throw Error("", "a voice of " + std::to_string(vector.size()) + " numbers; the model takes " +
                        std::to_string(speaker_size_));
  }
  const nn::Scope scope(ctx);
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * x;
  const double scale = 1 / std::max(std::sqrt(squares), 1e-12);  // torch.nn.functional.normalize
  const Tensor unit = ctx.allocate({1, speaker_size_});
  std::transform(vector.begin(), vector.end(), unit.f32(),
                 [&](float x) { return static_cast<float>(x * scale); });
  const Tensor mixed = nn::linear(ctx, speaker_vector_, unit);
  return {mixed.f32(), mixed.f32() + d_model_};
}

Tensor SpeechT5MelDecoder::prenet(nn::Context& ctx, std::span<const MelRow> rows,
                                  std::span<const int64_t> positions) const {
  const auto count = static_cast<int64_t>(rows.size());
  const auto scale = static_cast<float>(1 / (1 - dropout_));
  const Tensor out = ctx.allocate({count, d_model_});
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(rows[static_cast<size_t>(r)].speaker, d_model_, out.row(r));
  const nn::Scope scope(ctx);
  Tensor x = ctx.allocate({count, n_mels_});
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(rows[static_cast<size_t>(r)].frame, n_mels_, x.row(r));
  for (size_t layer = 0; layer < prenet_.size(); ++layer) {
    x = nn::linear(ctx, prenet_[layer], x);
    for (int64_t r = 0; r < count; ++r) {
      const uint8_t* kept =
          rows[static_cast<size_t>(r)].kept + static_cast<int64_t>(layer) * prenet_units_;
      for (int64_t k = 0; k < prenet_units_; ++k)
        x.row(r)[k] = kept[k] != 0 ? std::max(x.row(r)[k], 0.f) * scale : 0.f;
    }
  }
  x = nn::linear(ctx, prenet_out_, x);
  for (int64_t r = 0; r < count; ++r) {
    const float* position = positions_.as<float>() + positions[static_cast<size_t>(r)] * d_model_;
    for (int64_t k = 0; k < d_model_; ++k) x.row(r)[k] += position[k];
  }
  nn::linear(ctx, speaker_mix_, x, {.residual = out});
  relu({out.f32(), static_cast<size_t>(count * d_model_)});
  return out;
}

Tensor SpeechT5MelDecoder::attend_to_cross(nn::Context& ctx, const KvState& state, int64_t layer,
                                           std::span<const MelRow> rows, const Tensor& q) const {
  const std::vector<int64_t>& heads = blocks_[static_cast<size_t>(layer)].alignment_heads;
  const Tensor out = ctx.allocate(q.shape);
  for (size_t i = 0; i < rows.size(); ++i) {  // each row listens to a sentence of its own
    const nn::Scope scope(ctx);
    const CrossState& cross = *state.cross(rows[i].slot);
    const int64_t row = 0;
    const nn::AttentionGroup group{std::span(&row, 1), cross.segments(layer)};
    nn::AttentionProbe probe;
    if (rows[i].attention != nullptr && !heads.empty()) {
      probe = {.heads = heads, .positions = cross.positions(), .out = {}};
      probe.out = ctx.allocate({static_cast<int64_t>(heads.size()), 1, probe.positions});
    }
    const auto at = static_cast<int64_t>(i);
    nn::cached_attention(ctx, q.slice_rows(at, 1), cache_.heads, std::span(&group, 1), cache_.f16,
                         out.slice_rows(at, 1), probe);
    for (int64_t k = 0; probe.out && k < probe.out.rows(); ++k) {
      for (int64_t t = 0; t < probe.positions; ++t)
        rows[i].attention[t] += probe.out.row(k)[t] / static_cast<float>(alignment_count_);
    }
  }
  return out;
}

SpeechT5MelDecoder::Step SpeechT5MelDecoder::step(nn::Context& ctx, KvState& state,
                                                  std::span<const MelRow> rows) const {
  const auto count = static_cast<int64_t>(rows.size());
  const Step result{.frames = ctx.allocate({count * reduction_factor_, n_mels_}),
                    .stop = ctx.allocate({count})};
  const nn::Scope scope(ctx);
  std::vector<SlotPosition> places;
  std::vector<int64_t> positions;
  for (const MelRow& row : rows) {
    places.push_back({row.slot, state.length(row.slot)});
    positions.push_back(state.length(row.slot));
    state.extend(row.slot, 1);
    assert(state.cross(row.slot) && "the slot was not reset");
    if (row.attention != nullptr)
      std::fill_n(row.attention, state.cross(row.slot)->positions(), 0.f);
  }
  const Tensor x = prenet(ctx, rows, positions);  // [rows, d_model]
  ctx.show(name_ + ".prenet", x);
  for (int64_t layer = 0; layer < cache_.layers; ++layer) {  // norms come after what is added
    ctx.throw_if_stopped();
    const Block& block = blocks_[static_cast<size_t>(layer)];
    const nn::Scope scratch(ctx);
    const Tensor qkv = nn::linear(ctx, block.self_qkv, x);  // [rows, 3 d_model]
    nn::linear(ctx, block.self_out, attend_to_self(ctx, state, cache_, layer, places, qkv),
               {.residual = x});
    nn::layer_norm(ctx, block.self_norm, x, x);
    const Tensor q = nn::linear(ctx, block.cross_q, x);
    nn::linear(ctx, block.cross_out, attend_to_cross(ctx, state, layer, rows, q), {.residual = x});
    nn::layer_norm(ctx, block.cross_norm, x, x);
    const Tensor hidden = nn::linear(ctx, block.mlp_in, x, {.activation = Activation::kGelu});
    nn::linear(ctx, block.mlp_out, hidden, {.residual = x});
    nn::layer_norm(ctx, block.mlp_norm, x, x);
    ctx.show(block.name, x);
  }
  nn::linear(
      ctx, frames_out_, x,
      {.out = Tensor(result.frames.data, {count, reduction_factor_ * n_mels_}, DType::kF32)});
  const Tensor logits = nn::linear(ctx, stop_out_, x);
  for (int64_t r = 0; r < count; ++r) {
    float sum = 0;
    for (int64_t k = 0; k < reduction_factor_; ++k) sum += 1 / (1 + std::exp(-logits.row(r)[k]));
    result.stop.f32()[r] = sum;
  }
  return result;
}

}  // namespace parley::decoder
