#include "parley/core/model/whisper.h"

#include <span>

#include "parley/core/base/error.h"

namespace parley::stage {

namespace {

// openai/whisper audio.py.
constexpr int64_t kSampleRate = 16000;
constexpr int64_t kNFft = 400;
constexpr int64_t kHopLength = 160;
constexpr int64_t kFramesPerPosition = 2;  // the second convolution's stride
constexpr int64_t kMaxRows = 1 << 16;      // slots decoded together

void add_attention(std::vector<NamedShape>& tensors, const std::string& name, int64_t size) {
  add_linear(tensors, name + ".q_proj", size, size);
  add_linear(tensors, name + ".k_proj", size, size, /*bias=*/false);
  add_linear(tensors, name + ".v_proj", size, size);
  add_linear(tensors, name + ".out_proj", size, size);
  add_norm(tensors, name + "_layer_norm", size);
}

void add_mlp(std::vector<NamedShape>& tensors, const std::string& layer, int64_t size,
             int64_t ffn) {
  add_linear(tensors, layer + "fc1", ffn, size);
  add_linear(tensors, layer + "fc2", size, ffn);
  add_norm(tensors, layer + "final_layer_norm", size);
}

std::string layer_prefix(int64_t layer) { return "layers." + std::to_string(layer) + "."; }

}  // namespace

namespace {

struct Size {
  const char* key;  // in the config of a stage
  int64_t WhisperDims::*value;
  int64_t least, most;
};
constexpr Size kShared[] = {
    {"d_model", &WhisperDims::d_model, 1, 1 << 14},
    {"max_source_positions", &WhisperDims::max_source_positions, 1, 1 << 14},
};
constexpr Size kOfEncoder[] = {
    {"num_mel_bins", &WhisperDims::num_mel_bins, 1, 1 << 10},
    {"encoder_layers", &WhisperDims::encoder_layers, 1, 256},
    {"encoder_attention_heads", &WhisperDims::encoder_attention_heads, 1, 1 << 10},
    {"encoder_ffn_dim", &WhisperDims::encoder_ffn_dim, 1, 1 << 17},
};
constexpr Size kOfDecoder[] = {
    {"vocab_size", &WhisperDims::vocab_size, 1, 1 << 20},
    {"max_target_positions", &WhisperDims::max_target_positions, 8, 1 << 16},
    {"decoder_layers", &WhisperDims::decoder_layers, 1, 256},
    {"decoder_attention_heads", &WhisperDims::decoder_attention_heads, 1, 1 << 10},
    {"decoder_ffn_dim", &WhisperDims::decoder_ffn_dim, 1, 1 << 17},
};

void check_heads(const WhisperDims& dims, int64_t heads, const std::string& where) {
  if (dims.d_model % heads != 0) {
    throw Error(where, "d_model " + std::to_string(dims.d_model) + " is not a multiple of its " +
                           std::to_string(heads) + " attention heads");
  }
}

// What a stage of `kind` states: the shared sizes and its own.
WhisperDims dims_of(const Stage& stage, const char* kind, std::span<const Size> own,
                    int64_t WhisperDims::*heads) {
  stage.require_kind(kind);
  WhisperDims dims;
  for (const std::span<const Size> sizes : {std::span<const Size>(kShared), own}) {
    for (const Size& size : sizes)
      dims.*size.value = stage.config_int(size.key, size.least, size.most);
  }
  check_heads(dims, dims.*heads, stage.where());
  return dims;
}

}  // namespace

void check_dims(const WhisperDims& dims, const std::string& where) {
  for (const std::span<const Size> sizes :
       {std::span<const Size>(kShared), {kOfEncoder}, {kOfDecoder}}) {
    for (const Size& size : sizes) {
      const int64_t value = dims.*size.value;
      if (value >= size.least && value <= size.most) continue;
      throw Error(where, std::string(size.key) + " is " + std::to_string(value) + ", not between " +
                             std::to_string(size.least) + " and " + std::to_string(size.most));
    }
  }
  check_heads(dims, dims.encoder_attention_heads, where);
  check_heads(dims, dims.decoder_attention_heads, where);
}

WhisperDims whisper_encoder_dims(const Stage& stage) {
  return dims_of(stage, kWhisperEncoderKind, kOfEncoder, &WhisperDims::encoder_attention_heads);
}

WhisperDims whisper_decoder_dims(const Stage& stage) {
  return dims_of(stage, kWhisperDecoderKind, kOfDecoder, &WhisperDims::decoder_attention_heads);
}

std::vector<NamedShape> whisper_encoder_tensors(const WhisperDims& dims) {
  const int64_t d = dims.d_model;
  std::vector<NamedShape> tensors = {
      {"conv1.weight", {d, dims.num_mel_bins, 3}},
      {"conv1.bias", {d}},
      {"conv2.weight", {d, d, 3}},
      {"conv2.bias", {d}},
      {"embed_positions.weight", {dims.max_source_positions, d}},
  };
  for (int64_t i = 0; i < dims.encoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "self_attn", d);
    add_mlp(tensors, layer_prefix(i), d, dims.encoder_ffn_dim);
  }
  add_norm(tensors, "layer_norm", d);
  return tensors;
}

std::vector<NamedShape> whisper_decoder_tensors(const WhisperDims& dims) {
  const int64_t d = dims.d_model;
  std::vector<NamedShape> tensors = {
      {"embed_tokens.weight", {dims.vocab_size, d}},
      {"embed_positions.weight", {dims.max_target_positions, d}},
  };
  for (int64_t i = 0; i < dims.decoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "self_attn", d);
    add_attention(tensors, layer_prefix(i) + "encoder_attn", d);
    add_mlp(tensors, layer_prefix(i), d, dims.decoder_ffn_dim);
  }
  add_norm(tensors, "layer_norm", d);
  return tensors;
}

StageManifest frontend_manifest(const WhisperDims& dims) {
  const int64_t frames = kFramesPerPosition * dims.max_source_positions;
  StageManifest stage;
  stage.kind = kLogMelKind;
  stage.inputs = {{"samples", {{1, frames * kHopLength}}, nn::DType::kF32}};
  stage.outputs = {{"mel", {dims.num_mel_bins, frames}, nn::DType::kF32}};
  stage.config = {
      {"sample_rate", kSampleRate}, {"n_fft", kNFft},
      {"hop_length", kHopLength},   {"n_mels", dims.num_mel_bins},
      {"window", "hann_periodic"},  {"f_min", 0},
      {"f_max", kSampleRate / 2},   {"mel_scale", "slaney"},
      {"mel_norm", "slaney"},       {"log", "log10_clamp8"},
      {"n_frames", frames},
  };
  return stage;
}

StageManifest encoder_manifest(const WhisperDims& dims) {
  StageManifest stage;
  stage.kind = kWhisperEncoderKind;
  stage.inputs = {{"mel",
                   {dims.num_mel_bins, kFramesPerPosition * dims.max_source_positions},
                   nn::DType::kF32}};
  stage.outputs = {{"features", {dims.max_source_positions, dims.d_model}, nn::DType::kF32}};
  stage.config = {
      {"d_model", dims.d_model},
      {"encoder_layers", dims.encoder_layers},
      {"encoder_attention_heads", dims.encoder_attention_heads},
      {"encoder_ffn_dim", dims.encoder_ffn_dim},
      {"num_mel_bins", dims.num_mel_bins},
      {"max_source_positions", dims.max_source_positions},
  };
  return stage;
}

StageManifest decoder_manifest(const WhisperDims& dims, const nlohmann::json& generation_facts) {
  const Dimension rows{1, kMaxRows};
  StageManifest stage;
  stage.kind = kWhisperDecoderKind;
  stage.inputs = {
      {"tokens", {rows, {1, dims.max_target_positions}}, nn::DType::kI32},
      {"features", {dims.max_source_positions, dims.d_model}, nn::DType::kF32},
  };
  stage.outputs = {{"logits", {rows, dims.vocab_size}, nn::DType::kF32}};
  const auto state = [&](const char* name, Dimension positions) -> Port {
    return {name, {dims.decoder_layers, rows, std::move(positions), dims.d_model}, nn::DType::kF32};
  };
  stage.states = {
      state("self_keys", {0, dims.max_target_positions}),
      state("self_values", {0, dims.max_target_positions}),
      state("cross_keys", dims.max_source_positions),
      state("cross_values", dims.max_source_positions),
  };
  stage.config = generation_facts;
  stage.config.update({
      {"d_model", dims.d_model},
      {"decoder_layers", dims.decoder_layers},
      {"decoder_attention_heads", dims.decoder_attention_heads},
      {"decoder_ffn_dim", dims.decoder_ffn_dim},
      {"vocab_size", dims.vocab_size},
      {"max_source_positions", dims.max_source_positions},
      {"max_target_positions", dims.max_target_positions},
  });
  return stage;
}

}  // namespace parley::stage
