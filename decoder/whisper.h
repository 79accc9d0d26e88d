// Whisper's text decoder: any number of sequences, one step at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"
#include "parley/decoder/kv_state.h"

namespace parley::decoder {

// One token that a sequence is given in a step.
struct Row {
  int slot = 0;
  int32_t token = 0;
  bool logits = true;  // are the logits that follow this token wanted?
};

// What a pass over given tokens (teacher forcing) is asked for.
struct ForcedPass {
  // The probability of each token from this one on, given those before it, among the ids below
  // `classes`. At least 1.
  int64_t first_scored = 1;
  int64_t classes = 0;
  // Called for each layer that has alignment heads, with their cross-attention over the first
  // `positions` positions: f32 [heads, tokens, positions], which it may change.
  std::function<void(const nn::Tensor&)> attention = {};
  int64_t positions = 0;
};

// Immutable after construction; any number of contexts may run it, each with its own KvState.
// Reference: openai/whisper model.py, TextDecoder.
class WhisperDecoder {
 public:
  // Packs the weights of a stage of kind "whisper_decoder" for this CPU. The stage must outlive the
  // decoder, which reads token embeddings from the mapped file. Throws Error naming the field or
  // tensor at fault.
  WhisperDecoder(const stage::Stage& stage, nn::Precision precision, const nn::Packing& packing);

  int64_t vocab_size() const { return vocab_size_; }
  int64_t d_model() const { return d_model_; }
  const CacheShape& cache_shape() const { return cache_; }
  size_t bytes() const;
  size_t step_bytes() const;  // of them those that every step reads

  // Keys and values of one window for cross-attention.  features: f32 [positions, d_model].
  std::shared_ptr<const CrossState> listen(nn::Context& ctx, const nn::Tensor& features) const;

  // Every row is one more token of its slot; rows of one slot follow each other in order. Returns,
  // in scratch of the context, f32 [rows with logits, vocab_size]. Throws Stopped between layers
  // when asked to.
  nn::Tensor step(nn::Context& ctx, KvState& state, std::span<const Row> rows) const;

  // Appends all of `tokens` to the slot in one pass. Returns a probability for each token from
  // first_scored on. Throws as step() does.
  std::vector<float> force(nn::Context& ctx, KvState& state, int slot,
                           std::span<const int32_t> tokens, const ForcedPass& pass) const;
  // How many cross-attention heads follow the audio in time: those of the stage's config, else all
  // of the upper half of the layers.
  int64_t alignment_heads() const;

 private:
  struct Block {
    std::string name;  // "decoder.layers.0"
    nn::LayerNorm self_norm;
    nn::Weight self_qkv;
    nn::Weight self_out;
    nn::LayerNorm cross_norm;
    nn::Weight cross_q;
    nn::Weight cross_kv;
    nn::Weight cross_out;
    nn::LayerNorm mlp_norm;
    nn::Weight mlp_in;
    nn::Weight mlp_out;
  };
  void load_alignment_heads(const stage::Stage& stage);

  // Where the rows of a step stand in their sequences.
  struct Placement {
    std::vector<int64_t> positions;  // of each row
    std::vector<std::vector<int64_t>>
        listeners;  // rows that share a CrossState, at most kMaxAttentionRows each
  };

  Placement place(KvState& state, std::span<const Row> rows) const;
  nn::Tensor embed(nn::Context& ctx, std::span<const Row> rows, const Placement& placement) const;
  nn::Tensor attend_to_self(nn::Context& ctx, KvState& state, int64_t layer,
                            std::span<const Row> rows, const Placement& placement,
                            const nn::Tensor& qkv) const;
  nn::Tensor attend_to_cross(nn::Context& ctx, const KvState& state, int64_t layer,
                             std::span<const Row> rows, const Placement& placement,
                             const nn::Tensor& q, const nn::AttentionProbe& probe) const;
  nn::Tensor run(nn::Context& ctx, KvState& state, std::span<const Row> rows,
                 const ForcedPass* pass) const;

  std::string name_;  // of the stage
  int64_t vocab_size_;
  int64_t d_model_;
  CacheShape cache_;
  const stage::Safetensors* weights_;  // of the stage, with the token embedding
  nn::StoredMatrix token_embedding_;   // [vocab_size, d_model] in the mapped file
  nn::Buffer position_embedding_;      // f32 [max_positions, d_model]
  std::vector<Block> blocks_;
  nn::LayerNorm final_norm_;
  nn::Weight vocabulary_;  // the token embedding again, packed for products
  std::vector<std::vector<int64_t>> alignment_heads_;  // of each layer
};

}  // namespace parley::decoder
