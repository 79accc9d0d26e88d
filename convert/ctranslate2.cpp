#include "parley/convert/ctranslate2.h"

#include <optional>
#include <set>

#include "parley/convert/ctranslate2_file.h"
#include "parley/convert/hugging_face.h"
#include "parley/convert/whisper_folder.h"
#include "parley/convert/whisper_generation.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr int8_t kGelu = 3;  // python/ctranslate2/specs/common_spec.py, Activation

// Takes variables out and gives them to a checkpoint under our names.
class Mapper {
 public:
  Mapper(const Ct2Variables& variables, WhisperCheckpoint& checkpoint)
      : variables_(variables), checkpoint_(checkpoint) {}

  bool has(const std::string& name) const { return variables_.contains(name); }

  nn::Shape shape(const std::string& name, int rank) const {
    const nn::Shape& found = variable(name).shape;
    if (found.rank() != rank || found.elements() == 0)
      throw Error(checkpoint_.where, "variable '" + name + "' has shape " + found.str());
    return found;
  }

  // A flag or a count of any integer type; nothing when it is missing.
  std::optional<int64_t> scalar(const std::string& name) {
    const auto found = variables_.find(name);
    if (found == variables_.end()) return std::nullopt;
    const Ct2Variable& variable = found->second;
    if (variable.shape.rank() != 0)
      throw Error(checkpoint_.where, "variable '" + name + "' is not a single number");
    return ct2_integer(variable, checkpoint_.where + ": variable '" + name + "'");
  }

  void require(const std::string& name, int64_t value) {
    const std::optional<int64_t> found = scalar(name);
    if (found && *found != value) {
      throw Error(checkpoint_.where, "'" + name + "' is " + std::to_string(*found) +
                                         "; of a Whisper it is " + std::to_string(value));
    }
  }

  void whole(const std::string& ours, const std::string& theirs) {
    put(ours, theirs, 0, rows(theirs));
  }
  // The part'th of `parts` equal runs of rows.
  void part(const std::string& ours, const std::string& theirs, int64_t part, int64_t parts) {
    const int64_t count = rows(theirs) / parts;
    if (count * parts != rows(theirs) || count == 0)
      throw Error(checkpoint_.where, "variable '" + theirs + "' does not have " +
                                         std::to_string(parts) + " equal parts");
    put(ours, theirs, part * count, count);
  }
  void linear(const std::string& ours, const std::string& theirs) {
    whole(ours + ".weight", theirs + "/weight");
    whole(ours + ".bias", theirs + "/bias");
  }
  void norm(const std::string& ours, const std::string& theirs) {
    whole(ours + ".weight", theirs + "/gamma");
    whole(ours + ".bias", theirs + "/beta");
  }

  // Keys have no bias in a Whisper; where several projections are one, zeros stand for it.
  void require_zeros(const std::string& theirs, int64_t part, int64_t parts) {
    const std::string name = "zeros";
    this->part(name, theirs, part, parts);
    const std::vector<float> values = values_of(*checkpoint_.tensors.at(name));
    for (const float value : values) {
      if (value != 0)
        throw Error(checkpoint_.where, "'" + theirs + "' adds to keys, which no Whisper does");
    }
    checkpoint_.tensors.erase(name);
  }

  // Both names mean one variable.
  bool same(const std::string& a, const std::string& b) const {
    return variable(a).bytes.data() == variable(b).bytes.data();
  }
  void ignore(const std::string& name) { taken_.insert({name, name + "_scale"}); }

  void check_all_taken() const {
    for (const auto& [name, variable] : variables_) {
      if (taken_.contains(name) || variable.shape.rank() == 0) continue;
      const bool low_rank = name.find("low_rank_weight") != std::string::npos;
      throw Error(checkpoint_.where, "variable '" + name + "' is not one of Whisper's",
                  low_rank ? "matrices of low rank (lite-whisper) are not known; convert the "
                             "checkpoint that it was made from"
                           : "");
    }
  }

 private:
  const Ct2Variable& variable(const std::string& name) const {
    const auto found = variables_.find(name);
    if (found == variables_.end())
      throw Error(checkpoint_.where, "lacks the variable '" + name + "'");
    return found->second;
  }

  int64_t rows(const std::string& name) const {
    const Ct2Variable& found = variable(name);
    if (found.shape.rank() == 0 || found.shape.elements() == 0)
      throw Error(checkpoint_.where, "variable '" + name + "' has no rows");
    return found.shape[0];
  }

  // None, one, or as many as `variable` has rows, or rows of rows.
  std::span<const std::byte> scales_of(const std::string& name, const Ct2Variable& variable) {
    if (!variable.quantized()) return {};
    const std::string scale_name = name + "_scale";
    const auto found = variables_.find(scale_name);
    if (found == variables_.end()) {
      if (variable.type == Ct2Type::kI16) return {};
      throw Error(checkpoint_.where, "lacks the variable '" + scale_name + "'");
    }
    taken_.insert(scale_name);
    const Ct2Variable& scale = found->second;
    const int64_t count = scale.shape.elements();
    bool fits = count == 1;
    int64_t rows = 1;
    for (int axis = 0; axis < variable.shape.rank(); ++axis) {
      rows *= variable.shape[axis];
      fits = fits || count == rows;
    }
    if (!fits || scale.type != Ct2Type::kF32) {
      throw Error(checkpoint_.where, "'" + scale_name + "' of shape " + scale.shape.str() +
                                         " does not fit " + variable.shape.str());
    }
    return scale.bytes;
  }

  void put(const std::string& ours, const std::string& theirs, int64_t first_row, int64_t rows) {
    const Ct2Variable& found = variable(theirs);
    if (found.type == Ct2Type::kI32)
      throw Error(checkpoint_.where, "variable '" + theirs + "' holds integers");
    taken_.insert(theirs);
    checkpoint_.tensors[ours] = ct2_rows(found, scales_of(theirs, found), first_row, rows);
  }

  const Ct2Variables& variables_;
  WhisperCheckpoint& checkpoint_;
  std::set<std::string> taken_;
};

// Queries, keys and values are one matrix.
void map_self_attention(Mapper& mapper, const std::string& ours, const std::string& theirs) {
  const std::string fused = theirs + "/linear_0";
  mapper.part(ours + ".q_proj.weight", fused + "/weight", 0, 3);
  mapper.part(ours + ".k_proj.weight", fused + "/weight", 1, 3);
  mapper.part(ours + ".v_proj.weight", fused + "/weight", 2, 3);
  mapper.part(ours + ".q_proj.bias", fused + "/bias", 0, 3);
  mapper.require_zeros(fused + "/bias", 1, 3);
  mapper.part(ours + ".v_proj.bias", fused + "/bias", 2, 3);
  mapper.linear(ours + ".out_proj", theirs + "/linear_1");
  mapper.norm(ours + "_layer_norm", theirs + "/layer_norm");
}

// Keys and values are one matrix.
void map_cross_attention(Mapper& mapper, const std::string& ours, const std::string& theirs) {
  mapper.linear(ours + ".q_proj", theirs + "/linear_0");
  const std::string fused = theirs + "/linear_1";
  mapper.part(ours + ".k_proj.weight", fused + "/weight", 0, 2);
  mapper.part(ours + ".v_proj.weight", fused + "/weight", 1, 2);
  mapper.require_zeros(fused + "/bias", 0, 2);
  mapper.part(ours + ".v_proj.bias", fused + "/bias", 1, 2);
  mapper.linear(ours + ".out_proj", theirs + "/linear_2");
  mapper.norm(ours + "_layer_norm", theirs + "/layer_norm");
}

// Returns the number of layers.
int64_t map_layers(Mapper& mapper, const std::string& stage) {
  int64_t layer = 0;
  for (;; ++layer) {
    const std::string theirs = stage + "/layer_" + std::to_string(layer);
    if (!mapper.has(theirs + "/ffn/linear_0/weight")) return layer;
    const std::string ours = stage + ".layers." + std::to_string(layer);
    map_self_attention(mapper, ours + ".self_attn", theirs + "/self_attention");
    if (stage == "decoder")
      map_cross_attention(mapper, ours + ".encoder_attn", theirs + "/attention");
    mapper.linear(ours + ".fc1", theirs + "/ffn/linear_0");
    mapper.linear(ours + ".fc2", theirs + "/ffn/linear_1");
    mapper.norm(ours + ".final_layer_norm", theirs + "/ffn/layer_norm");
  }
}

WhisperDims read_dims(Mapper& mapper, const std::string& where) {
  constexpr int64_t kHeadDim = 64;
  WhisperDims dims;
  const nn::Shape conv = mapper.shape("encoder/conv1/weight", 3);
  dims.d_model = conv[0];
  dims.num_mel_bins = conv[1];
  dims.vocab_size = mapper.shape("decoder/embeddings/weight", 2)[0];
  dims.max_source_positions = mapper.shape("encoder/position_encodings/encodings", 2)[0];
  dims.max_target_positions = mapper.shape("decoder/position_encodings/encodings", 2)[0];
  dims.encoder_layers = map_layers(mapper, "encoder");
  dims.decoder_layers = map_layers(mapper, "decoder");
  if (dims.encoder_layers == 0 || dims.decoder_layers == 0)
    throw Error(where, "has no layers of a Whisper");
  dims.encoder_ffn_dim = mapper.shape("encoder/layer_0/ffn/linear_0/weight", 2)[0];
  dims.decoder_ffn_dim = mapper.shape("decoder/layer_0/ffn/linear_0/weight", 2)[0];
  const int64_t usual = dims.d_model / kHeadDim;
  dims.encoder_attention_heads = mapper.scalar("encoder/num_heads").value_or(usual);
  dims.decoder_attention_heads = mapper.scalar("decoder/num_heads").value_or(usual);
  check_dims(dims, where);
  return dims;
}

// The output matrix is the token embedding, under another name or stored again.
void map_output(Mapper& mapper) {
  const std::string output = "decoder/projection/weight";
  if (!mapper.has(output)) return;
  if (mapper.same(output, "decoder/embeddings/weight")) {
    mapper.ignore(output);
  } else {
    mapper.whole("proj_out.weight", output);
  }
}

// config.json, in generation_config.json's words.
nlohmann::json read_generation(const fs::path& path) {
  nlohmann::json generation = nlohmann::json::object();
  if (!fs::is_regular_file(path)) return generation;
  const nlohmann::json config = read_json(path);
  static constexpr std::pair<const char*, const char*> kNames[] = {
      {"suppress_ids", "suppress_tokens"},
      {"suppress_ids_begin", "begin_suppress_tokens"},
      {"alignment_heads", "alignment_heads"},
      {"lang_ids", "lang_ids"},
  };
  for (const auto& [theirs, ours] : kNames) {
    if (config.contains(theirs)) generation[ours] = config[theirs];
  }
  return generation;
}

}  // namespace

bool is_ctranslate2(const fs::path& model_bin) {
  return fs::is_regular_file(model_bin) && begins_as_ct2(MappedFile(model_bin).bytes());
}

WhisperCheckpoint parse_ctranslate2(std::span<const std::byte> model_bin,
                                    const std::string& where) {
  WhisperCheckpoint checkpoint;
  checkpoint.where = where;
  checkpoint.format = "ctranslate2";
  const Ct2Variables variables = read_ct2_variables(model_bin, where);
  Mapper mapper(variables, checkpoint);
  checkpoint.dims = read_dims(mapper, where);
  for (const char* conv : {"conv1", "conv2"})
    mapper.linear(std::string("encoder.") + conv, std::string("encoder/") + conv);
  for (const char* stage : {"encoder", "decoder"}) {
    const std::string name = stage;
    mapper.whole(name + ".embed_positions.weight", name + "/position_encodings/encodings");
    mapper.norm(name + ".layer_norm", name + "/layer_norm");
  }
  mapper.whole("decoder.embed_tokens.weight", "decoder/embeddings/weight");
  map_output(mapper);
  mapper.require("decoder/pre_norm", 1);
  mapper.require("decoder/scale_embeddings", 0);
  mapper.require("decoder/activation", kGelu);
  mapper.require("decoder/alibi", 0);
  mapper.check_all_taken();
  tie_output(checkpoint);
  return checkpoint;
}

WhisperCheckpoint open_ctranslate2(const fs::path& folder) {
  const fs::path path = folder / "model.bin";
  const auto file = std::make_shared<MappedFile>(path);
  WhisperCheckpoint checkpoint = parse_ctranslate2(file->bytes(), path.string());
  checkpoint.storage = file;
  checkpoint.files = {path};
  checkpoint.generation = read_generation(folder / "config.json");
  checkpoint.licence = read_licence(folder);
  const fs::path preprocessor = folder / "preprocessor_config.json";
  if (fs::is_regular_file(preprocessor))
    check_preprocessor(read_json(preprocessor), checkpoint.dims, preprocessor.string());
  return checkpoint;
}

}  // namespace parley::stage
