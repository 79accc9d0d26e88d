// Whisper's text decoder: any number of sequences, one step at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decoder/kv_state.h"
#include "nn/context.h"
#include "nn/linear.h"
#include "nn/weight.h"
#include "stage/model.h"

namespace parley::decoder {

// One token that a sequence is given in a step.
struct Row {
  int slot = 0;
  int32_t token = 0;
  bool logits = true;  // are the logits that follow this token wanted?
};

// Immutable after construction; any number of contexts may run it, each with its own KvState.
// Reference: openai/whisper model.py, TextDecoder.
class TokenDecoder {
 public:
  // Packs the weights of a stage of kind "whisper_decoder" for this CPU. The stage must outlive the
  // decoder, which reads token embeddings from the mapped file. Throws Error naming the field or
  // tensor at fault.
  TokenDecoder(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team);

  int64_t vocab_size() const { return vocab_size_; }
  int64_t d_model() const { return d_model_; }
  const CacheShape& cache_shape() const { return cache_; }
  size_t bytes() const;

  // Keys and values of one window for cross-attention.  features: f32 [positions, d_model].
  std::shared_ptr<const CrossState> listen(nn::Context& ctx, const nn::Tensor& features) const;

  // Every row is one more token of its slot; rows of one slot follow each other in order. Returns,
  // in scratch of the context, f32 [rows with logits, vocab_size]. Throws Stopped between layers
  // when asked to.
  nn::Tensor step(nn::Context& ctx, KvState& state, std::span<const Row> rows) const;

 private:
  struct Block {
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
                             const nn::Tensor& q) const;

  int64_t vocab_size_;
  int64_t d_model_;
  CacheShape cache_;
  nn::StoredMatrix token_embedding_;  // [vocab_size, d_model] in the mapped file
  nn::Buffer position_embedding_;     // f32 [max_positions, d_model]
  std::vector<Block> blocks_;
  nn::LayerNorm final_norm_;
  nn::Weight vocabulary_;  // the token embedding again, packed for products
};

}  // namespace parley::decoder
