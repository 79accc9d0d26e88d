// What model.json and stage.json say (docs/formats.md), read without touching any other file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/nn/stored_matrix.h"
#include "parley/core/nn/tensor.h"

namespace parley::stage {

// This library's version, "MAJOR.MINOR.PATCH".
std::string_view runtime_version();
// True when semver `a` is older than `b`; both "MAJOR.MINOR.PATCH". Throws Error for anything else,
// named by `where`.
bool older(std::string_view a, std::string_view b, const std::string& where);

// One dimension of a shape: a number (min == max), a range, or one of `choices`.
struct Dimension {
  int64_t min = 0;
  int64_t max = 0;
  std::vector<int64_t> choices;

  Dimension(int64_t number) : min(number), max(number) {}  // NOLINT: a number is a dimension
  Dimension(int64_t low, int64_t high) : min(low), max(high) {}
  explicit Dimension(std::vector<int64_t> list);

  bool accepts(int64_t value) const;
  std::string str() const;  // "80", "1..448", "80|128"
};

// A declared input, output or state of a stage.
struct Port {
  std::string name;
  std::vector<Dimension> shape;
  nn::DType dtype = nn::DType::kF32;
};

struct FileDigest {
  std::string file;  // relative to the folder of the manifest
  uint64_t bytes = 0;
  std::string sha256;  // 64 lower-case hexadecimal digits
};

// How a compressed tensor is stored, and its shape before packing.
struct StoredTensor {
  std::string name;
  nn::Storage storage = nn::Storage::kInt8;
  nn::Shape shape;  // [outputs, inputs...]
};

struct StageManifest {
  std::string kind;
  std::string version = "1.0.0";
  std::vector<Port> inputs, outputs, states;
  nlohmann::json config = nlohmann::json::object();
  // In the order of names. Tensors not named are stored as their dtype says.
  std::vector<StoredTensor> compression;
  std::optional<FileDigest> weights;
};

struct ModelManifest {
  std::string name;
  std::string version = "1.0.0";
  std::string kind;  // stt, tts, vad
  std::vector<std::string> stages;
  std::vector<FileDigest> files;  // further files, as the tokenizer
  std::string licence;
  nlohmann::json source =
      nlohmann::json::object();  // where the weights come from, and their digest
  std::string min_runtime = "0.1.0";
};

// Both throw Error naming `where` and the field for everything that is missing, of a wrong type or
// out of range, for paths that leave the folder, and for a model whose min_runtime is newer than
// runtime_version().
StageManifest parse_stage_manifest(std::string_view text, const std::string& where);
ModelManifest parse_model_manifest(std::string_view text, const std::string& where);

nlohmann::json to_json(const StageManifest& manifest);
nlohmann::json to_json(const ModelManifest& manifest);

// Whether it may name a model or stage, and so a folder: 1 to 128 letters, digits, '.', '_', '-',
// not beginning with '.'.
bool is_model_name(std::string_view name);
// Whether it is 64 lower-case hexadecimal digits.
bool is_sha256(std::string_view text);

// Throws Error unless `path` is relative and stays inside its folder.
void check_inside(const std::string& path, const std::string& where);

}  // namespace parley::stage
