#include "parley/decoder/whisper.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "parley/core/base/error.h"
#include "parley/core/model/layers.h"
#include "parley/core/model/whisper.h"
#include "parley/decoder/kv_attention.h"

namespace parley::decoder {

using nn::Activation;
using nn::DType;
using nn::Tensor;

namespace {
constexpr size_t kLargeTable = size_t{32} << 20;
}  // namespace

WhisperDecoder::WhisperDecoder(const stage::Stage& stage, nn::Precision precision,
                               const nn::Packing& packing)
    : name_(stage.name()) {
  const stage::WhisperDims dims = stage::whisper_decoder_dims(stage);
  vocab_size_ = dims.vocab_size;
  d_model_ = dims.d_model;
  cache_ = decoder::cache_shape(stage.name(), precision, dims.decoder_layers, dims.d_model,
                                dims.decoder_attention_heads, dims.max_target_positions);
  const nn::Compute few = nn::compute_for(precision, nn::Rows::kFew);
  const nn::Compute many = nn::compute_for(precision, nn::Rows::kMany);
  const int64_t d = d_model_;
  const int64_t ffn = dims.decoder_ffn_dim;

  const stage::LayerReader read(stage, packing);
  weights_ = &stage.weights();
  token_embedding_ = read.matrix("embed_tokens.weight", {vocab_size_, d});
  position_embedding_ = read.f32("embed_positions.weight", {cache_.max_positions, d});
  for (int64_t i = 0; i < cache_.layers; ++i) {
    const std::string layer = "layers." + std::to_string(i) + ".";
    const std::string self = layer + "self_attn.";
    const std::string cross = layer + "encoder_attn.";
    blocks_.push_back({.name = name_ + ".layers." + std::to_string(i),
                       .self_norm = read.norm(layer + "self_attn_layer_norm", d),
                       .self_qkv = read.pack({read.part(self + "q_proj", d, d),
                                              read.part(self + "k_proj", d, d, /*bias=*/false),
                                              read.part(self + "v_proj", d, d)},
                                             few),
                       .self_out = read.linear(self + "out_proj", d, d, few),
                       .cross_norm = read.norm(layer + "encoder_attn_layer_norm", d),
                       .cross_q = read.linear(cross + "q_proj", d, d, few),
                       .cross_kv = read.pack({read.part(cross + "k_proj", d, d, /*bias=*/false),
                                              read.part(cross + "v_proj", d, d)},
                                             many),
                       .cross_out = read.linear(cross + "out_proj", d, d, few),
                       .mlp_norm = read.norm(layer + "final_layer_norm", d),
                       .mlp_in = read.linear(layer + "fc1", ffn, d, few),
                       .mlp_out = read.linear(layer + "fc2", d, ffn, few)});
  }
  final_norm_ = read.norm("layer_norm", d);
  vocabulary_ = read.pack({{token_embedding_, {}, name_ + ".embed_tokens"}}, few);
  load_alignment_heads(stage);
}

void WhisperDecoder::load_alignment_heads(const stage::Stage& stage) {
  alignment_heads_.resize(blocks_.size());
  if (stage.has_config("alignment_heads")) {
    for (const auto& [layer, head] :
         stage.config_pairs("alignment_heads", cache_.layers - 1, cache_.heads - 1)) {
      std::vector<int64_t>& heads = alignment_heads_[static_cast<size_t>(layer)];
      if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
    }
  }
  if (alignment_heads() > 0) return;
  for (size_t layer = blocks_.size() / 2; layer < blocks_.size(); ++layer) {
    alignment_heads_[layer].resize(static_cast<size_t>(cache_.heads));
    std::iota(alignment_heads_[layer].begin(), alignment_heads_[layer].end(), 0);
  }
}

int64_t WhisperDecoder::alignment_heads() const {
  return std::accumulate(
      alignment_heads_.begin(), alignment_heads_.end(), int64_t{0},
      [](int64_t sum, const auto& heads) { return sum + static_cast<int64_t>(heads.size()); });
}

size_t WhisperDecoder::bytes() const {
  size_t total = position_embedding_.size() + step_bytes();
  for (const Block& block : blocks_) total += block.cross_kv.bytes();
  return total;
}

size_t WhisperDecoder::step_bytes() const {
  size_t total = vocabulary_.bytes();
  for (const Block& block : blocks_) {
    for (const nn::Weight* weight : {&block.self_qkv, &block.self_out, &block.cross_q,
                                     &block.cross_out, &block.mlp_in, &block.mlp_out}) {
      total += weight->bytes();
    }
  }
  return total;
}

std::shared_ptr<const CrossState> WhisperDecoder::listen(nn::Context& ctx,
                                                         const Tensor& features) const {
  return decoder::listen(ctx, cache_, features, [this](int64_t layer) -> const nn::Weight& {
    return blocks_[static_cast<size_t>(layer)].cross_kv;
  });
}

WhisperDecoder::Placement WhisperDecoder::place(KvState& state, std::span<const Row> rows) const {
  Placement placement;
  std::map<const CrossState*, size_t> open;  // the group that takes the next listener
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto [slot, token, logits] = rows[i];
    if (token < 0 || token >= vocab_size_)
      throw Error("", "token " + std::to_string(token) + " is outside the vocabulary");
    placement.positions.push_back(state.length(slot));
    state.extend(slot, 1);
    const CrossState* cross = state.cross(slot).get();
    assert(cross != nullptr && "the slot was not reset");
    const auto found = open.find(cross);
    if (found == open.end() ||
        placement.listeners[found->second].size() == nn::kernels::kMaxAttentionRows) {
      open[cross] = placement.listeners.size();
      placement.listeners.push_back({static_cast<int64_t>(i)});
    } else {
      placement.listeners[found->second].push_back(static_cast<int64_t>(i));
    }
  }
  return placement;
}

Tensor WhisperDecoder::embed(nn::Context& ctx, std::span<const Row> rows,
                             const Placement& placement) const {
  const Tensor x = ctx.allocate({static_cast<int64_t>(rows.size()), d_model_});
  for (size_t i = 0; i < rows.size(); ++i) {
    float* out = x.row(static_cast<int64_t>(i));
    nn::dequantize_row(token_embedding_, rows[i].token, out);
    const float* position = position_embedding_.as<float>() + placement.positions[i] * d_model_;
    for (int64_t k = 0; k < d_model_; ++k) out[k] += position[k];
  }
  // Each row brings the 64 KB around it into memory, and in the end the whole table.
  if (token_embedding_.data.bytes() >= kLargeTable) weights_->release(token_embedding_);
  return x;
}

Tensor WhisperDecoder::attend_to_self(nn::Context& ctx, KvState& state, int64_t layer,
                                      std::span<const Row> rows, const Placement& placement,
                                      const Tensor& qkv) const {
  std::vector<SlotPosition> places;
  for (size_t i = 0; i < rows.size(); ++i) places.push_back({rows[i].slot, placement.positions[i]});
  return decoder::attend_to_self(ctx, state, cache_, layer, places, qkv);
}

Tensor WhisperDecoder::attend_to_cross(nn::Context& ctx, const KvState& state, int64_t layer,
                                       std::span<const Row> rows, const Placement& placement,
                                       const Tensor& q, const nn::AttentionProbe& probe) const {
  std::vector<nn::AttentionGroup> groups;
  for (const auto& listeners : placement.listeners) {
    groups.push_back(
        {listeners, state.cross(rows[static_cast<size_t>(listeners[0])].slot)->segments(layer)});
  }
  const Tensor out = ctx.allocate(q.shape);
  nn::cached_attention(ctx, q, cache_.heads, groups, cache_.f16, out, probe);
  return out;
}

// All layers: the rows' tokens -> f32 [rows, d_model]. pass: whose attention is shown, or null.
Tensor WhisperDecoder::run(nn::Context& ctx, KvState& state, std::span<const Row> rows,
                           const ForcedPass* pass) const {
  const Placement placement = place(state, rows);
  const Tensor x = embed(ctx, rows, placement);
  ctx.show(name_ + ".embedded", x);
  for (int64_t layer = 0; layer < cache_.layers; ++layer) {
    ctx.throw_if_stopped();
    const Block& block = blocks_[static_cast<size_t>(layer)];
    const nn::Scope scratch(ctx);
    const Tensor qkv = nn::linear(ctx, block.self_qkv,
                                  nn::layer_norm(ctx, block.self_norm, x));  // [rows, 3 d_model]
    nn::linear(ctx, block.self_out, attend_to_self(ctx, state, layer, rows, placement, qkv),
               {.residual = x});
    const Tensor q = nn::linear(ctx, block.cross_q, nn::layer_norm(ctx, block.cross_norm, x));
    nn::AttentionProbe probe;
    if (const auto& heads = alignment_heads_[static_cast<size_t>(layer)]; pass && !heads.empty()) {
      probe = {heads, pass->positions,
               ctx.allocate({static_cast<int64_t>(heads.size()), x.rows(), pass->positions})};
    }
    nn::linear(ctx, block.cross_out, attend_to_cross(ctx, state, layer, rows, placement, q, probe),
               {.residual = x});
    if (probe.out) pass->attention(probe.out);
    nn::feed_forward(ctx, block.mlp_norm, block.mlp_in, block.mlp_out, x);
    ctx.show(block.name, x);
  }
  return x;
}

Tensor WhisperDecoder::step(nn::Context& ctx, KvState& state, std::span<const Row> rows) const {
  const int64_t wanted =
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.logits; });
  const Tensor logits = ctx.allocate({wanted, vocab_size_});
  const nn::Scope scope(ctx);
  const Tensor x = run(ctx, state, rows, nullptr);
  const Tensor last = ctx.allocate({wanted, d_model_});
  for (size_t i = 0, k = 0; i < rows.size(); ++i) {
    if (rows[i].logits)
      std::copy_n(x.row(static_cast<int64_t>(i)), d_model_, last.row(static_cast<int64_t>(k++)));
  }
  if (wanted > 0)
    nn::linear(ctx, vocabulary_, nn::layer_norm(ctx, final_norm_, last), {.out = logits});
  return logits;
}

std::vector<float> WhisperDecoder::force(nn::Context& ctx, KvState& state, int slot,
                                         std::span<const int32_t> tokens,
                                         const ForcedPass& pass) const {
  constexpr int64_t kChunk = 32;  // rows of logits at once: 6.6 MB for Whisper's vocabulary
  assert(pass.first_scored >= 1 && pass.classes <= vocab_size_);
  const nn::Scope scope(ctx);
  std::vector<Row> rows;
  for (const int32_t token : tokens) rows.push_back({slot, token});
  const Tensor x = run(ctx, state, rows, pass.attention ? &pass : nullptr);
  std::vector<float> probabilities;
  const auto count = static_cast<int64_t>(tokens.size());
  for (int64_t next = pass.first_scored; next < count;) {
    ctx.throw_if_stopped();
    const nn::Scope chunk(ctx);
    const int64_t size = std::min(kChunk, count - next);
    const Tensor logits = nn::linear(
        ctx, vocabulary_, nn::layer_norm(ctx, final_norm_, x.slice_rows(next - 1, size)));
    for (int64_t i = 0; i < size; ++i, ++next) {
      const std::span<const float> row(logits.row(i), static_cast<size_t>(pass.classes));
      const auto token = static_cast<size_t>(tokens[static_cast<size_t>(next)]);
      probabilities.push_back(token < row.size() ? std::exp(row[token] - nn::peak(row).logsumexp)
                                                 : 0.f);
    }
  }
  return probabilities;
}

}  // namespace parley::decoder
