// What a SpeechT5 text-to-speech checkpoint holds: hyper-parameters, tensor names and shapes
// (transformers, configuration_speecht5.py and modeling_speecht5.py).
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stage/named_shape.h"

namespace parley::stage {

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

// Every tensor of the stages, without the "text_encoder." / "mel_decoder." prefix. The postnet's
// are those of its convolutions with the batch norm folded in.
std::vector<NamedShape> text_encoder_tensors(const SpeechT5Dims& dims);
std::vector<NamedShape> mel_decoder_tensors(const SpeechT5Dims& dims);

// Our name of a checkpoint's tensor, "<stage>.<tensor>"; nothing for what is computed anew (the
// positional encodings) or counts training steps.
std::optional<std::string> name_from_speecht5(std::string_view theirs);

}  // namespace parley::stage
