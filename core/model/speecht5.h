// SpeechT5's stages, text encoder and mel decoder: dimensions and their bounds, tensors, manifests
// (transformers, configuration_speecht5.py and modeling_speecht5.py).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parley/core/model/json.h"
#include "parley/core/model/manifest.h"
#include "parley/core/model/mel_contract.h"
#include "parley/core/model/model.h"
#include "parley/core/model/named_shape.h"

namespace parley::stage {

inline constexpr const char* kTextEncoderKind = "speecht5_text_encoder";
inline constexpr const char* kMelDecoderKind = "speecht5_mel_decoder";
inline constexpr const char* kSentencePieceFile = "spm_char.model";

// Under the names of Hugging Face's config.json.
struct SpeechT5Dims {
  int64_t hidden_size = 0;
  int64_t vocab_size = 0;
  int64_t encoder_layers = 0, encoder_attention_heads = 0, encoder_ffn_dim = 0;
  int64_t decoder_layers = 0, decoder_attention_heads = 0, decoder_ffn_dim = 0;
  int64_t encoder_max_relative_position = 0;
  int64_t max_text_positions = 0;  // characters of a sentence, the end included
  int64_t learned_size = 0;        // of these, in the longest sentence that it learned; 0: unknown
  bool letter_names = false;       // whether it learned letters by their names only
  int64_t max_speech_positions = 0;  // decoder steps of a sentence
  int64_t num_mel_bins = 0;
  int64_t reduction_factor = 0;  // frames a step
  int64_t speaker_embedding_dim = 0;
  int64_t speech_decoder_prenet_layers = 0, speech_decoder_prenet_units = 0;
  int64_t speech_decoder_postnet_layers = 0, speech_decoder_postnet_units = 0;
  int64_t speech_decoder_postnet_kernel = 0;
  double speech_decoder_prenet_dropout = 0;
  double layer_norm_eps = 0;
  // The first so many heads of each layer's cross-attention were trained to follow the text; 0:
  // none.
  int64_t guided_attention_heads = 0;
};

// Throws Error naming `where` and the field that is missing, out of range, or not what SpeechT5
// does.
SpeechT5Dims parse_speecht5_config(const nlohmann::json& config, const std::string& where);

// The dimensions that the config of such a stage states, with the same bounds; those of the other
// stage stay 0. Throws Error.
SpeechT5Dims text_encoder_dims(const Stage& stage);
SpeechT5Dims mel_decoder_dims(const Stage& stage);

// Every tensor of the stages, without the "text_encoder." / "mel_decoder." prefix. The postnet's
// are those of its convolutions with the batch norm folded in.
std::vector<NamedShape> text_encoder_tensors(const SpeechT5Dims& dims);
std::vector<NamedShape> mel_decoder_tensors(const SpeechT5Dims& dims);

// The stages' manifests, without weights (docs/formats.md). `generation`: generation_config.json,
// for threshold, minlenratio and maxlenratio.
StageManifest text_encoder_manifest(const SpeechT5Dims& dims);
StageManifest mel_decoder_manifest(const SpeechT5Dims& dims, const MelContract& mel,
                                   const Fields& generation);

}  // namespace parley::stage
