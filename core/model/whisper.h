// Whisper's stages, log-mel, encoder and decoder: dimensions and their bounds, tensors, manifests.
// Tensors have Hugging Face's names without "model." ("encoder.layers.0.self_attn.q_proj.weight").
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parley/core/model/manifest.h"
#include "parley/core/model/model.h"
#include "parley/core/model/named_shape.h"

namespace parley::stage {

inline constexpr const char* kLogMelKind = "log_mel";
inline constexpr const char* kWhisperEncoderKind = "whisper_encoder";
inline constexpr const char* kWhisperDecoderKind = "whisper_decoder";

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

// The dimensions that the config of such a stage states, with the same bounds; those of the other
// stage stay 0. Throws Error.
WhisperDims whisper_encoder_dims(const Stage& stage);
WhisperDims whisper_decoder_dims(const Stage& stage);

// Every tensor of the stage, without the "encoder." / "decoder." prefix.
std::vector<NamedShape> whisper_encoder_tensors(const WhisperDims& dims);
std::vector<NamedShape> whisper_decoder_tensors(const WhisperDims& dims);

// The stages' manifests, without weights (docs/formats.md).
StageManifest frontend_manifest(const WhisperDims& dims);
StageManifest encoder_manifest(const WhisperDims& dims);
StageManifest decoder_manifest(const WhisperDims& dims, const nlohmann::json& generation_facts);

}  // namespace parley::stage
