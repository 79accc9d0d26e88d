// SpeechT5's speech decoder: mel frames from text features, a few frames a step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"
#include "parley/decoder/kv_state.h"

namespace parley::decoder {

// What one sentence is given in a step.
struct MelRow {
  int slot = 0;
  const float* frame = nullptr;    // [n_mels], the last one made; zeros at the first step
  const uint8_t* kept = nullptr;   // [prenet_layers, prenet_units]: units that dropout leaves, as 1
  const float* speaker = nullptr;  // [d_model], of speaker()
  float* attention = nullptr;      // if wanted, [text positions]: where the alignment heads look
};

// Immutable after construction; any number of contexts may run it, each with its own KvState.
// Reference: transformers modeling_speecht5.py, SpeechT5DecoderWithSpeechPrenet and
// _generate_speech.
class SpeechT5MelDecoder {
 public:
  // Packs the weights of a stage of kind "speecht5_mel_decoder" for this CPU. Throws Error naming
  // the field or tensor at fault.
  SpeechT5MelDecoder(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team);

  int64_t n_mels() const { return n_mels_; }
  int64_t frames_per_step() const { return reduction_factor_; }
  int64_t d_model() const { return d_model_; }
  int64_t speaker_size() const { return speaker_size_; }
  int64_t kept_size() const { return static_cast<int64_t>(prenet_.size()) * prenet_units_; }
  double dropout() const { return dropout_; }
  const CacheShape& cache_shape() const { return cache_; }
  bool has_alignment_heads() const { return alignment_count_ > 0; }
  size_t bytes() const;

  // The stop rule: a sentence of `tokens` ends after step i (from 1) when i reaches max_steps(), or
  // min_steps() and the step's stop probability reaches threshold().
  float threshold() const { return threshold_; }
  int64_t min_steps(int64_t tokens) const;
  int64_t max_steps(int64_t tokens) const;

  // Keys and values of one sentence for cross-attention.  features: f32 [tokens, d_model].
  std::shared_ptr<const CrossState> listen(nn::Context& ctx, const nn::Tensor& features) const;
  // A voice as every step adds it: f32 [d_model].  vector: [speaker_size].
  std::vector<float> speaker(nn::Context& ctx, std::span<const float> vector) const;

  struct Step {
    nn::Tensor frames;  // f32 [rows * frames_per_step, n_mels], before the postnet
    nn::Tensor stop;    // f32 [rows]: the sum of the frames' stop probabilities
  };
  // One more step for every row's slot; results in scratch of the context. Throws Stopped between
  // layers when asked to.
  Step step(nn::Context& ctx, KvState& state, std::span<const MelRow> rows) const;

 private:
  struct Block {
    std::string name;  // "mel_decoder.layers.0"
    nn::Weight self_qkv;
    nn::Weight self_out;
    nn::LayerNorm self_norm;
    nn::Weight cross_q;
    nn::Weight cross_kv;
    nn::Weight cross_out;
    nn::LayerNorm cross_norm;
    nn::Weight mlp_in;
    nn::Weight mlp_out;
    nn::LayerNorm mlp_norm;
    std::vector<int64_t> alignment_heads;
  };

  void load_prenet(const stage::Stage& stage, const stage::SpeechT5Dims& dims, nn::Compute compute,
                   nn::ThreadTeam& team);
  void load_blocks(const stage::Stage& stage, const stage::SpeechT5Dims& dims,
                   nn::Precision precision, nn::ThreadTeam& team);
  nn::Tensor prenet(nn::Context& ctx, std::span<const MelRow> rows,
                    std::span<const int64_t> positions) const;
  nn::Tensor attend_to_cross(nn::Context& ctx, const KvState& state, int64_t layer,
                             std::span<const MelRow> rows, const nn::Tensor& q) const;

  std::string name_;  // of the stage
  int64_t d_model_;
  int64_t n_mels_;
  int64_t reduction_factor_;
  int64_t speaker_size_;
  int64_t prenet_units_;
  double dropout_;
  float threshold_;
  double min_ratio_;
  double max_ratio_;
  CacheShape cache_;
  nn::Buffer positions_;  // f32 [max steps, d_model], scaled by alpha
  std::vector<nn::Weight> prenet_;
  nn::Weight prenet_out_;
  nn::Weight speaker_mix_;     // of what the prenet says
  nn::Weight speaker_vector_;  // of the speaker's vector
  std::vector<Block> blocks_;
  nn::Weight frames_out_;  // feat_out
  nn::Weight stop_out_;    // prob_out
  int64_t alignment_count_ = 0;
};

}  // namespace parley::decoder
