#include "parley/convert/whisper_folder.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "parley/convert/hugging_face.h"
#include "parley/convert/whisper_generation.h"
#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOutputWeight = "proj_out.weight";
constexpr std::string_view kEmbedding = "decoder.embed_tokens.weight";

// "model.encoder.conv1.weight" -> "encoder.conv1.weight"; proj_out.weight and names of a bare
// WhisperModel stay.
std::optional<std::string> our_name(std::string_view theirs) {
  constexpr std::string_view kPrefix = "model.";
  if (theirs.starts_with(kPrefix)) theirs.remove_prefix(kPrefix.size());
  return std::string(theirs);
}

}  // namespace

WhisperDims parse_whisper_config(const nlohmann::json& config, const std::string& where) {
  const Fields fields(config, where);
  if (fields.string("model_type") != "whisper") {
    fields.refuse("model_type",
                  "is '" + fields.string("model_type") + "'; only whisper is supported");
  }
  if (fields.has("activation_function") && fields.string("activation_function") != "gelu") {
    fields.refuse("activation_function", "must be gelu");
  }
  if (fields.has("scale_embedding") && fields.boolean("scale_embedding")) {
    fields.refuse("scale_embedding", "must be false");
  }
  const WhisperDims dims{
      .d_model = fields.integer("d_model"),
      .num_mel_bins = fields.integer("num_mel_bins"),
      .vocab_size = fields.integer("vocab_size"),
      .max_source_positions = fields.integer("max_source_positions"),
      .max_target_positions = fields.integer("max_target_positions"),
      .encoder_layers = fields.integer("encoder_layers"),
      .encoder_attention_heads = fields.integer("encoder_attention_heads"),
      .encoder_ffn_dim = fields.integer("encoder_ffn_dim"),
      .decoder_layers = fields.integer("decoder_layers"),
      .decoder_attention_heads = fields.integer("decoder_attention_heads"),
      .decoder_ffn_dim = fields.integer("decoder_ffn_dim"),
  };
  check_dims(dims, where);
  return dims;
}

void tie_output(WhisperCheckpoint& checkpoint) {
  const auto output = checkpoint.tensors.find(std::string(kOutputWeight));
  if (output == checkpoint.tensors.end()) return;
  const auto embedding = checkpoint.tensors.find(std::string(kEmbedding));
  if (embedding == checkpoint.tensors.end()) {
    auto moved = checkpoint.tensors.extract(output);
    moved.key() = kEmbedding;
    checkpoint.tensors.insert(std::move(moved));
    return;
  }
  bool same = output->second->shape() == embedding->second->shape();
  constexpr int64_t kPart = 1 << 20;
  const int64_t elements = same ? output->second->shape().elements() : 0;
  std::vector<float> a;
  std::vector<float> b;
  for (int64_t at = 0; same && at < elements; at += kPart) {
    a.resize(static_cast<size_t>(std::min(kPart, elements - at)));
    b.resize(a.size());
    output->second->read(at, a);
    embedding->second->read(at, b);
    same = a == b;
  }
  if (!same)
    throw Error(checkpoint.where,
                "proj_out.weight differs from the token embedding, which no Whisper does");
  checkpoint.tensors.erase(output);
}

WhisperCheckpoint open_whisper_folder(const fs::path& folder) {
  WhisperCheckpoint checkpoint;
  const fs::path config_path = folder / "config.json";
  const nlohmann::json config = read_json(config_path);
  checkpoint.dims = parse_whisper_config(config, config_path.string());
  const fs::path generation_path = folder / "generation_config.json";
  if (fs::is_regular_file(generation_path)) checkpoint.generation = read_json(generation_path);
  // Checkpoints from before generation_config.json have these in config.json.
  for (const char* key : {"suppress_tokens", "begin_suppress_tokens"}) {
    if (!checkpoint.generation.contains(key) && config.contains(key))
      checkpoint.generation[key] = config[key];
  }
  const fs::path preprocessor_path = folder / "preprocessor_config.json";
  if (fs::is_regular_file(preprocessor_path)) {
    check_preprocessor(read_json(preprocessor_path), checkpoint.dims, preprocessor_path.string());
  }
  static_cast<Checkpoint&>(checkpoint) = open_hugging_face(folder, our_name);
  tie_output(checkpoint);
  return checkpoint;
}

}  // namespace parley::stage
