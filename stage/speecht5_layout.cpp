#include "stage/speecht5_layout.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "stage/json.h"

namespace parley::stage {

namespace {

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

void check_heads(const Fields& fields, const std::string& key, const SpeechT5Dims& dims,
                 int64_t heads) {
  if (dims.hidden_size % heads != 0)
    fields.refuse(key, "does not divide hidden_size " + std::to_string(dims.hidden_size));
}

}  // namespace

SpeechT5Dims parse_speecht5_config(const nlohmann::json& config, const std::string& where) {
  const Fields fields(config, where);
  if (fields.string("model_type") != "speecht5") {
    fields.refuse("model_type", "is '" + fields.string("model_type") + "', not speecht5");
  }
  if (fields.has("hidden_act") && fields.string("hidden_act") != "gelu")
    fields.refuse("hidden_act", "must be gelu");
  // What config.json may leave out has the default of SpeechT5Config.
  const auto integer = [&](const char* key, int64_t otherwise, int64_t max) {
    return fields.has(key) ? fields.integer(key, 1, max) : otherwise;
  };
  const auto number = [&](const char* key, double otherwise, double min, double max) {
    return fields.has(key) ? fields.number(key, min, max) : otherwise;
  };
  SpeechT5Dims dims{
      .hidden_size = integer("hidden_size", 768, 1 << 14),
      .vocab_size = integer("vocab_size", 81, 1 << 20),
      .encoder_layers = integer("encoder_layers", 12, 256),
      .encoder_attention_heads = integer("encoder_attention_heads", 12, 1 << 10),
      .encoder_ffn_dim = integer("encoder_ffn_dim", 3072, 1 << 16),
      .decoder_layers = integer("decoder_layers", 6, 256),
      .decoder_attention_heads = integer("decoder_attention_heads", 12, 1 << 10),
      .decoder_ffn_dim = integer("decoder_ffn_dim", 3072, 1 << 16),
      .encoder_max_relative_position = integer("encoder_max_relative_position", 160, 1 << 14),
      .max_text_positions = integer("max_text_positions", 450, 1 << 14),
      .learned_size = fields.has("learned_size") ? integer("learned_size", 1, 1 << 14) : 0,
      .letter_names = fields.has("letter_names") && fields.boolean("letter_names"),
      .max_speech_positions = integer("max_speech_positions", 4000, 1 << 16),
      .num_mel_bins = integer("num_mel_bins", 80, 1 << 10),
      .reduction_factor = integer("reduction_factor", 2, 64),
      .speaker_embedding_dim = integer("speaker_embedding_dim", 512, 1 << 14),
      .speech_decoder_prenet_layers = integer("speech_decoder_prenet_layers", 2, 16),
      .speech_decoder_prenet_units = integer("speech_decoder_prenet_units", 256, 1 << 14),
      .speech_decoder_postnet_layers = integer("speech_decoder_postnet_layers", 5, 16),
      .speech_decoder_postnet_units = integer("speech_decoder_postnet_units", 256, 1 << 14),
      .speech_decoder_postnet_kernel = integer("speech_decoder_postnet_kernel", 5, 63),
      .speech_decoder_prenet_dropout = number("speech_decoder_prenet_dropout", 0.5, 0, 0.999),
      .layer_norm_eps = number("layer_norm_eps", 1e-5, 1e-12, 1e-1),
      .guided_attention_heads = 0,
  };
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

std::optional<std::string> name_from_speecht5(std::string_view theirs) {
  if (theirs.ends_with(".encode_positions.pe") || theirs.ends_with(".num_batches_tracked"))
    return std::nullopt;
  static constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"speecht5.encoder.prenet.", "text_encoder."},
      {"speecht5.encoder.wrapped_encoder.", "text_encoder."},
      {"speecht5.decoder.prenet.", "mel_decoder.prenet."},
      {"speecht5.decoder.wrapped_decoder.", "mel_decoder."},
      {"speech_decoder_postnet.layers.", "mel_decoder.postnet.layers."},
      {"speech_decoder_postnet.", "mel_decoder."},
  };
  for (const auto& [prefix, ours] : kPrefixes) {
    if (theirs.starts_with(prefix))
      return std::string(ours) + std::string(theirs.substr(prefix.size()));
  }
  return std::string(theirs);  // unknown: check_all_taken() will name it
}

}  // namespace parley::stage
