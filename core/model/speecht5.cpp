#include "parley/core/model/speecht5.h"

#include <algorithm>
#include <span>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

// transformers, SpeechT5ForTextToSpeech.generate().
constexpr double kThreshold = 0.5;
constexpr double kMinLenRatio = 0;
constexpr double kMaxLenRatio = 20;

void add_attention(std::vector<NamedShape>& tensors, const std::string& name, int64_t size) {
  for (const char* part : {".q_proj", ".k_proj", ".v_proj", ".out_proj"})
    add_linear(tensors, name + part, size, size);
}

void add_feed_forward(std::vector<NamedShape>& tensors, const std::string& layer, int64_t size,
                      int64_t ffn) {
  add_linear(tensors, layer + "feed_forward.intermediate_dense", ffn, size);
  add_linear(tensors, layer + "feed_forward.output_dense", size, ffn);
  add_norm(tensors, layer + "final_layer_norm", size);
}

std::string layer_prefix(int64_t layer) { return "layers." + std::to_string(layer) + "."; }

struct Size {
  const char* key;  // in config.json and in the config of a stage
  int64_t SpeechT5Dims::*value;
  int64_t otherwise, most;  // what a config.json without it means (SpeechT5Config)
};
constexpr Size kShared[] = {
    {"hidden_size", &SpeechT5Dims::hidden_size, 768, 1 << 14},
    {"max_text_positions", &SpeechT5Dims::max_text_positions, 450, 1 << 14},
};
constexpr Size kOfTextEncoder[] = {
    {"vocab_size", &SpeechT5Dims::vocab_size, 81, 1 << 20},
    {"encoder_layers", &SpeechT5Dims::encoder_layers, 12, 256},
    {"encoder_attention_heads", &SpeechT5Dims::encoder_attention_heads, 12, 1 << 10},
    {"encoder_ffn_dim", &SpeechT5Dims::encoder_ffn_dim, 3072, 1 << 16},
    {"encoder_max_relative_position", &SpeechT5Dims::encoder_max_relative_position, 160, 1 << 14},
};
constexpr Size kOfMelDecoder[] = {
    {"decoder_layers", &SpeechT5Dims::decoder_layers, 6, 256},
    {"decoder_attention_heads", &SpeechT5Dims::decoder_attention_heads, 12, 1 << 10},
    {"decoder_ffn_dim", &SpeechT5Dims::decoder_ffn_dim, 3072, 1 << 16},
    {"max_speech_positions", &SpeechT5Dims::max_speech_positions, 4000, 1 << 16},
    {"num_mel_bins", &SpeechT5Dims::num_mel_bins, 80, 1 << 10},
    {"reduction_factor", &SpeechT5Dims::reduction_factor, 2, 64},
    {"speaker_embedding_dim", &SpeechT5Dims::speaker_embedding_dim, 512, 1 << 14},
    {"speech_decoder_prenet_layers", &SpeechT5Dims::speech_decoder_prenet_layers, 2, 16},
    {"speech_decoder_prenet_units", &SpeechT5Dims::speech_decoder_prenet_units, 256, 1 << 14},
    {"speech_decoder_postnet_layers", &SpeechT5Dims::speech_decoder_postnet_layers, 5, 16},
    {"speech_decoder_postnet_units", &SpeechT5Dims::speech_decoder_postnet_units, 256, 1 << 14},
    {"speech_decoder_postnet_kernel", &SpeechT5Dims::speech_decoder_postnet_kernel, 5, 63},
};
constexpr const char* kDropout = "speech_decoder_prenet_dropout";
constexpr double kMostDropout = 0.999;
constexpr const char* kEpsilon = "layer_norm_eps";
constexpr double kLeastEpsilon = 1e-12, kMostEpsilon = 0.1;

void read_sizes(const Fields& fields, std::span<const Size> sizes, bool complete,
                SpeechT5Dims& dims) {
  for (const Size& size : sizes) {
    const bool given = complete || fields.has(size.key);
    dims.*size.value = given ? fields.integer(size.key, 1, size.most) : size.otherwise;
  }
}

void check_heads(const Fields& fields, const std::string& key, const SpeechT5Dims& dims,
                 int64_t heads) {
  if (dims.hidden_size % heads != 0)
    fields.refuse(key, "does not divide hidden_size " + std::to_string(dims.hidden_size));
}

// What only our own models say.
void read_habits(const Fields& fields, SpeechT5Dims& dims) {
  if (fields.has("learned_size")) dims.learned_size = fields.integer("learned_size", 1, 1 << 14);
  dims.letter_names = fields.has("letter_names") && fields.boolean("letter_names");
}

}  // namespace

SpeechT5Dims text_encoder_dims(const Stage& stage) {
  stage.require_kind(kTextEncoderKind);
  const Fields fields = stage.fields();
  SpeechT5Dims dims;
  read_sizes(fields, kShared, /*complete=*/true, dims);
  read_sizes(fields, kOfTextEncoder, /*complete=*/true, dims);
  dims.layer_norm_eps = fields.number(kEpsilon, kLeastEpsilon, kMostEpsilon);
  read_habits(fields, dims);
  check_heads(fields, "encoder_attention_heads", dims, dims.encoder_attention_heads);
  return dims;
}

SpeechT5Dims mel_decoder_dims(const Stage& stage) {
  stage.require_kind(kMelDecoderKind);
  const Fields fields = stage.fields();
  SpeechT5Dims dims;
  read_sizes(fields, kShared, /*complete=*/true, dims);
  read_sizes(fields, kOfMelDecoder, /*complete=*/true, dims);
  dims.speech_decoder_prenet_dropout = fields.number(kDropout, 0, kMostDropout);
  dims.layer_norm_eps = fields.number(kEpsilon, kLeastEpsilon, kMostEpsilon);
  check_heads(fields, "decoder_attention_heads", dims, dims.decoder_attention_heads);
  return dims;
}

SpeechT5Dims parse_speecht5_config(const nlohmann::json& config, const std::string& where) {
  const Fields fields(config, where);
  if (fields.string("model_type") != "speecht5") {
    fields.refuse("model_type", "is '" + fields.string("model_type") + "', not speecht5");
  }
  if (fields.has("hidden_act") && fields.string("hidden_act") != "gelu")
    fields.refuse("hidden_act", "must be gelu");
  SpeechT5Dims dims;
  read_sizes(fields, kShared, /*complete=*/false, dims);
  read_sizes(fields, kOfTextEncoder, /*complete=*/false, dims);
  read_sizes(fields, kOfMelDecoder, /*complete=*/false, dims);
  read_habits(fields, dims);
  dims.speech_decoder_prenet_dropout =
      fields.has(kDropout) ? fields.number(kDropout, 0, kMostDropout) : 0.5;
  dims.layer_norm_eps =
      fields.has(kEpsilon) ? fields.number(kEpsilon, kLeastEpsilon, kMostEpsilon) : 1e-5;
  check_heads(fields, "encoder_attention_heads", dims, dims.encoder_attention_heads);
  check_heads(fields, "decoder_attention_heads", dims, dims.decoder_attention_heads);
  if (dims.speech_decoder_postnet_kernel % 2 == 0)
    fields.refuse("speech_decoder_postnet_kernel", "must be odd");
  const bool guided =
      !fields.has("use_guided_attention_loss") || fields.boolean("use_guided_attention_loss");
  const int64_t heads = fields.has("guided_attention_loss_num_heads")
                            ? fields.integer("guided_attention_loss_num_heads", -1, 1 << 10)
                            : 2;
  const int64_t all = dims.decoder_attention_heads;
  if (guided) dims.guided_attention_heads = heads < 0 ? all : std::min(heads, all);
  return dims;
}

std::vector<NamedShape> text_encoder_tensors(const SpeechT5Dims& dims) {
  const int64_t d = dims.hidden_size;
  std::vector<NamedShape> tensors = {
      {"embed_tokens.weight", {dims.vocab_size, d}},
      {"encode_positions.alpha", {}},
      {"embed_positions.pe_k.weight",
       {2 * dims.encoder_max_relative_position, d / dims.encoder_attention_heads}},
  };
  add_norm(tensors, "layer_norm", d);
  for (int64_t i = 0; i < dims.encoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "attention", d);
    add_norm(tensors, layer_prefix(i) + "layer_norm", d);
    add_feed_forward(tensors, layer_prefix(i), d, dims.encoder_ffn_dim);
  }
  return tensors;
}

std::vector<NamedShape> mel_decoder_tensors(const SpeechT5Dims& dims) {
  const int64_t d = dims.hidden_size;
  const int64_t units = dims.speech_decoder_prenet_units;
  std::vector<NamedShape> tensors = {{"prenet.encode_positions.alpha", {}}};
  for (int64_t i = 0; i < dims.speech_decoder_prenet_layers; ++i) {
    add_linear(tensors, "prenet.layers." + std::to_string(i), units,
               i == 0 ? dims.num_mel_bins : units);
  }
  add_linear(tensors, "prenet.final_layer", d, units);
  add_linear(tensors, "prenet.speaker_embeds_layer", d, d + dims.speaker_embedding_dim);
  for (int64_t i = 0; i < dims.decoder_layers; ++i) {
    add_attention(tensors, layer_prefix(i) + "self_attn", d);
    add_norm(tensors, layer_prefix(i) + "self_attn_layer_norm", d);
    add_attention(tensors, layer_prefix(i) + "encoder_attn", d);
    add_norm(tensors, layer_prefix(i) + "encoder_attn_layer_norm", d);
    add_feed_forward(tensors, layer_prefix(i), d, dims.decoder_ffn_dim);
  }
  add_linear(tensors, "feat_out", dims.num_mel_bins * dims.reduction_factor, d);
  add_linear(tensors, "prob_out", dims.reduction_factor, d);
  const int64_t layers = dims.speech_decoder_postnet_layers;
  for (int64_t i = 0; i < layers; ++i) {
    const std::string name = "postnet.layers." + std::to_string(i) + ".conv";
    const int64_t in = i == 0 ? dims.num_mel_bins : dims.speech_decoder_postnet_units;
    const int64_t out = i == layers - 1 ? dims.num_mel_bins : dims.speech_decoder_postnet_units;
    tensors.push_back({name + ".weight", {out, in, dims.speech_decoder_postnet_kernel}});
    tensors.push_back({name + ".bias", {out}});
  }
  return tensors;
}

StageManifest text_encoder_manifest(const SpeechT5Dims& dims) {
  const Dimension length{1, dims.max_text_positions};
  StageManifest stage;
  stage.kind = kTextEncoderKind;
  stage.inputs = {{"tokens", {length}, nn::DType::kI32}};
  stage.outputs = {{"features", {length, dims.hidden_size}, nn::DType::kF32}};
  stage.config = {
      {"hidden_size", dims.hidden_size},
      {"vocab_size", dims.vocab_size},
      {"encoder_layers", dims.encoder_layers},
      {"encoder_attention_heads", dims.encoder_attention_heads},
      {"encoder_ffn_dim", dims.encoder_ffn_dim},
      {"encoder_max_relative_position", dims.encoder_max_relative_position},
      {"max_text_positions", dims.max_text_positions},
      {"layer_norm_eps", dims.layer_norm_eps},
  };
  if (dims.letter_names) stage.config["letter_names"] = true;
  if (dims.learned_size > 0) stage.config["learned_size"] = dims.learned_size;
  return stage;
}

namespace {

nlohmann::json alignment_heads(const SpeechT5Dims& dims) {
  nlohmann::json heads = nlohmann::json::array();
  for (int64_t layer = 0; layer < dims.decoder_layers; ++layer) {
    for (int64_t head = 0; head < dims.guided_attention_heads; ++head)
      heads.push_back({layer, head});
  }
  return heads;
}

}  // namespace

StageManifest mel_decoder_manifest(const SpeechT5Dims& dims, const MelContract& mel,
                                   const Fields& generation) {
  const Dimension text{1, dims.max_text_positions};
  const auto state = [&](const char* name, Dimension positions) -> Port {
    return {name, {dims.decoder_layers, std::move(positions), dims.hidden_size}, nn::DType::kF32};
  };
  const auto setting = [&](const char* key, double otherwise, double max) {
    return generation.has(key) ? generation.number(key, 0, max) : otherwise;
  };
  StageManifest stage;
  stage.kind = kMelDecoderKind;
  stage.inputs = {
      {"features", {text, dims.hidden_size}, nn::DType::kF32},
      {"speaker", {dims.speaker_embedding_dim}, nn::DType::kF32},
  };
  stage.outputs = {{"mel",
                    {{1, dims.max_speech_positions * dims.reduction_factor}, dims.num_mel_bins},
                    nn::DType::kF32}};
  stage.states = {
      state("self_keys", {0, dims.max_speech_positions}),
      state("self_values", {0, dims.max_speech_positions}),
      state("cross_keys", text),
      state("cross_values", text),
  };
  stage.config = {
      {"hidden_size", dims.hidden_size},
      {"decoder_layers", dims.decoder_layers},
      {"decoder_attention_heads", dims.decoder_attention_heads},
      {"decoder_ffn_dim", dims.decoder_ffn_dim},
      {"num_mel_bins", dims.num_mel_bins},
      {"reduction_factor", dims.reduction_factor},
      {"speaker_embedding_dim", dims.speaker_embedding_dim},
      {"max_text_positions", dims.max_text_positions},
      {"max_speech_positions", dims.max_speech_positions},
      {"speech_decoder_prenet_layers", dims.speech_decoder_prenet_layers},
      {"speech_decoder_prenet_units", dims.speech_decoder_prenet_units},
      {"speech_decoder_prenet_dropout", dims.speech_decoder_prenet_dropout},
      {"speech_decoder_postnet_layers", dims.speech_decoder_postnet_layers},
      {"speech_decoder_postnet_units", dims.speech_decoder_postnet_units},
      {"speech_decoder_postnet_kernel", dims.speech_decoder_postnet_kernel},
      {"layer_norm_eps", dims.layer_norm_eps},
      {"threshold", setting("threshold", kThreshold, 64)},
      {"minlenratio", setting("minlenratio", kMinLenRatio, 1000)},
      {"maxlenratio", setting("maxlenratio", kMaxLenRatio, 1000)},
      {"alignment_heads", alignment_heads(dims)},
      {"mel", to_json(mel)},
  };
  return stage;
}

}  // namespace parley::stage
