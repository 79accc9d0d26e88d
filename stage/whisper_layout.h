// What a Whisper checkpoint holds: hyper-parameters, tensor names and shapes, in our naming
// (Hugging Face's, without the "model." prefix: "encoder.layers.0.self_attn.q_proj.weight").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stage/named_shape.h"

namespace parley::stage {

// Under the names of Hugging Face's config.json.
struct WhisperDims {
  int64_t d_model = 0;
  int64_t num_mel_bins = 0;
  int64_t vocab_size = 0;
  int64_t max_source_positions = 0;
  int64_t max_target_positions = 0;
  int64_t encoder_layers = 0, encoder_attention_heads = 0, encoder_ffn_dim = 0;
  int64_t decoder_layers = 0, decoder_attention_heads = 0, decoder_ffn_dim = 0;

  bool operator==(const WhisperDims&) const = default;
};

// Throws Error naming the dimension that no Whisper can have; `where` is the file that said so.
void check_dims(const WhisperDims& dims, const std::string& where);

// Every tensor of the stage, without the "encoder." / "decoder." prefix.
std::vector<NamedShape> whisper_encoder_tensors(const WhisperDims& dims);
std::vector<NamedShape> whisper_decoder_tensors(const WhisperDims& dims);

// Our name for a tensor of openai/whisper and whisper.cpp ("encoder.blocks.0.attn.query.weight");
// nothing when there is none.
std::optional<std::string> name_from_openai(std::string_view name);

// The same for a tensor of transcribe.cpp ("enc.blocks.0.attn.q.weight").
std::optional<std::string> name_from_transcribe_cpp(std::string_view name);

// Whether a published Whisper with this vocabulary is multilingual (openai/whisper, model.py).
bool is_multilingual(const WhisperDims& dims);

// [layer, head] pairs of the decoder's cross-attention that follow the audio: from the table
// published with openai/whisper for the sizes that it names, otherwise all heads of the upper half
// of the layers. Large v1 and v2 are of one shape: `sha256` of the original .pt file tells v1,
// everything else is taken for v2.
using AlignmentHeads = std::vector<std::pair<int, int>>;
AlignmentHeads alignment_heads(const WhisperDims& dims, std::string_view sha256 = "");

}  // namespace parley::stage
