// A model folder: a manifest and its stages, each with a configuration and mapped weights
// (docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/model/json.h"
#include "parley/core/model/manifest.h"
#include "parley/core/model/safetensors.h"
#include "parley/core/nn/stored_matrix.h"

namespace parley::stage {

// One stage of an open model. All config getters throw Error naming the stage.json and the field
// when it is missing, of another type, or out of range.
class Stage {
 public:
  const std::string& name() const { return name_; }
  const std::string& where() const { return where_; }  // path of stage.json, for messages
  const std::string& kind() const { return manifest_.kind; }
  const StageManifest& manifest() const { return manifest_; }
  const nlohmann::json& config() const { return manifest_.config; }
  Fields fields() const { return {manifest_.config, where_ + ": config"}; }  // of the config

  bool has_config(const std::string& key) const { return fields().has(key); }
  int64_t config_int(const std::string& key, int64_t min, int64_t max) const {
    return fields().integer(key, min, max);
  }
  double config_number(const std::string& key, double min, double max) const {
    return fields().number(key, min, max);
  }
  bool config_bool(const std::string& key) const { return fields().boolean(key); }
  std::string config_string(const std::string& key) const { return fields().string(key); }
  std::vector<int64_t> config_ints(const std::string& key, int64_t min, int64_t max) const {
    return fields().integers(key, min, max);
  }
  // The field's own fields; the stage must outlive them.
  Fields config_object(const std::string& key) const { return fields().object(key); }
  // [[a, b], ...] with a in [0, max_first] and b in [0, max_second], as the alignment heads'
  // [layer, head].
  std::vector<std::pair<int64_t, int64_t>> config_pairs(const std::string& key, int64_t max_first,
                                                        int64_t max_second) const;

  bool has_weights() const { return weights_ != nullptr; }
  // Throws Error when the stage has none.
  const Safetensors& weights() const;

  // A matrix [outputs, inputs] or convolution [outputs, channels, kernel] of the weights, floats or
  // compressed, whichever the manifest says: what an nn::Weight is packed from. Throws Error naming
  // the tensor when it is missing, has another shape, or its parts do not fit its storage.
  nn::StoredMatrix matrix(const std::string& name, const nn::Shape& shape) const;

  // Throws Error unless the stage is of this kind, naming both.
  void require_kind(std::string_view kind) const;

 private:
  friend class Model;

  std::string name_;
  std::string where_;  // path of stage.json
  StageManifest manifest_;
  std::unique_ptr<Safetensors> weights_;
};

class Model {
 public:
  // Opens a model folder: reads the manifests, maps the weights, checks sizes and every bound, but
  // no digest (see verify()). Throws Error naming the file and the field at fault.
  static Model open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::string& name() const { return manifest_.name; }
  const std::string& kind() const { return manifest_.kind; }  // stt, tts, vad
  const ModelManifest& manifest() const { return manifest_; }
  // "sha256:<64 digits>" made from the manifests' digests: models with the same weights have the
  // same one.
  const std::string& digest() const { return digest_; }

  const std::vector<Stage>& stages() const { return stages_; }
  bool has_stage(std::string_view name) const;
  // Throws Error when the model has no such stage.
  const Stage& stage(std::string_view name) const;
  // The path of another file of the model, e.g. file("tokenizer.json"). Throws Error when it is not
  // there.
  std::filesystem::path file(const std::string& name) const;

  // Reads every file that the manifests name and compares SHA-256 digests, and checks the tensors
  // of every stage (kinds.h). Throws Error at the first that differs.
  void verify() const;

 private:
  std::filesystem::path path_;
  ModelManifest manifest_;
  std::vector<Stage> stages_;
  std::string digest_;
};

}  // namespace parley::stage
