#include "parley/core/model/manifest.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>

#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

constexpr size_t kMaxStages = 16;
constexpr size_t kMaxPorts = 64;
constexpr size_t kMaxFiles = 64;
constexpr size_t kMaxChoices = 256;
constexpr size_t kMaxStoredTensors = 1 << 16;
constexpr int64_t kMaxDimension = int64_t{1} << 40;
constexpr int64_t kMaxElements = int64_t{1} << 48;  // of a tensor

constexpr std::array kDTypes = {nn::DType::kF32, nn::DType::kF16, nn::DType::kBF16, nn::DType::kI8,
                                nn::DType::kU8,  nn::DType::kI32, nn::DType::kI64};

std::array<uint32_t, 3> parse_semver(std::string_view text, const std::string& where) {
  std::array<uint32_t, 3> numbers{};
  const char* at = text.data();
  const char* end = at + text.size();
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    const bool last = i + 1 == numbers.size();
    if (error != std::errc() || (last ? next != end : (next == end || *next != '.'))) {
      throw Error(where, "'" + std::string(text) + "' is not a version like 1.2.3");
    }
    at = next + 1;
  }
  return numbers;
}

std::string parse_version(const Fields& fields, const std::string& key) {
  std::string version = fields.string(key);
  parse_semver(version, fields.where() + ": field '" + key + "'");
  return version;
}

std::string parse_name(const nlohmann::json& value, const Fields& fields, const std::string& key) {
  std::string name = value.is_string() ? value.get<std::string>() : "";
  if (!is_model_name(name))
    fields.refuse(key, "must be a name of letters, digits, '.', '_' and '-'");
  return name;
}

Dimension parse_dimension(const nlohmann::json& value, const Fields& port) {
  int64_t number = 0;
  const auto good = [&](const nlohmann::json& json) {
    return to_integer(json, number) && number >= 0 && number <= kMaxDimension;
  };
  if (good(value)) return number;
  if (value.is_object() && value.size() == 2) {
    const Fields range(value, port.where() + ": shape");
    const int64_t min = range.integer("min", 0, kMaxDimension);
    return {min, range.integer("max", min, kMaxDimension)};
  }
  if (value.is_array() && !value.empty() && value.size() <= kMaxChoices) {
    std::vector<int64_t> choices;
    for (const nlohmann::json& choice : value) {
      if (!good(choice)) port.refuse("shape", "has a list with something that is not a dimension");
      choices.push_back(number);
    }
    return Dimension(std::move(choices));
  }
  port.refuse("shape", "must hold numbers, {\"min\", \"max\"} ranges, or lists of numbers");
}

nn::DType parse_dtype(const Fields& port) {
  const std::string name = port.string("dtype");
  for (const nn::DType dtype : kDTypes) {
    if (nn::name_of(dtype) == name) return dtype;
  }
  port.refuse("dtype", "is unknown: " + name);
}

std::vector<Port> parse_ports(const Fields& fields, const std::string& key) {
  std::vector<Port> ports;
  if (!fields.has(key)) return ports;
  std::set<std::string> names;
  for (const nlohmann::json& value : fields.array(key, kMaxPorts)) {
    const Fields port(value, fields.where() + ": " + key);
    Port result{
        .name = parse_name(port.at("name"), port, "name"), .shape = {}, .dtype = parse_dtype(port)};
    if (!names.insert(result.name).second) port.refuse("name", "is used twice: " + result.name);
    for (const nlohmann::json& dimension : port.array("shape", nn::Shape::kMaxRank)) {
      result.shape.push_back(parse_dimension(dimension, port));
    }
    ports.push_back(std::move(result));
  }
  return ports;
}

FileDigest parse_digest(const Fields& fields) {
  FileDigest digest{.file = fields.string("file"),
                    .bytes = static_cast<uint64_t>(fields.integer("bytes")),
                    .sha256 = fields.string("sha256")};
  check_inside(digest.file, fields.where() + ": field 'file'");
  if (!is_sha256(digest.sha256)) fields.refuse("sha256", "must be 64 hexadecimal digits");
  return digest;
}

StoredTensor parse_stored(const std::string& name, const Fields& fields) {
  const std::string storage = fields.string("storage");
  const std::optional<nn::Storage> known = nn::storage_named(storage);
  if (!known || known == nn::Storage::kFloat)
    fields.refuse("storage", "is unknown to this version of Parley: " + storage);
  if (fields.array("shape", nn::Shape::kMaxRank).size() < 2)
    fields.refuse("shape", "must have at least two dimensions");
  const nn::Shape shape(fields.integers("shape", 1, kMaxDimension));
  int64_t elements = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] > kMaxElements / elements) fields.refuse("shape", "is too large");
    elements *= shape[axis];
  }
  return {name, *known, shape};
}

std::vector<StoredTensor> parse_compression(const Fields& fields) {
  std::vector<StoredTensor> tensors;
  if (!fields.has("compression")) return tensors;
  const Fields compression = fields.object("compression");
  if (compression.json().size() > kMaxStoredTensors)
    fields.refuse("compression", "has too many tensors");
  for (const auto& [name, value] : compression.json().items()) {
    tensors.push_back(parse_stored(name, Fields(value, compression.where() + ": '" + name + "'")));
  }
  return tensors;
}

nlohmann::json to_json(const Dimension& dimension) {
  if (!dimension.choices.empty()) return dimension.choices;
  if (dimension.min == dimension.max) return dimension.min;
  return {{"min", dimension.min}, {"max", dimension.max}};
}

nlohmann::json to_json(const std::vector<Port>& ports) {
  nlohmann::json list = nlohmann::json::array();
  for (const Port& port : ports) {
    nlohmann::json shape = nlohmann::json::array();
    for (const Dimension& dimension : port.shape) shape.push_back(to_json(dimension));
    list.push_back(
        {{"name", port.name}, {"shape", std::move(shape)}, {"dtype", nn::name_of(port.dtype)}});
  }
  return list;
}

nlohmann::json to_json(const FileDigest& digest) {
  return {{"file", digest.file}, {"bytes", digest.bytes}, {"sha256", digest.sha256}};
}

nlohmann::json to_json(const nn::Shape& shape) {
  nlohmann::json list = nlohmann::json::array();
  for (int axis = 0; axis < shape.rank(); ++axis) list.push_back(shape[axis]);
  return list;
}

}  // namespace

std::string_view runtime_version() { return PARLEY_VERSION; }

bool older(std::string_view a, std::string_view b, const std::string& where) {
  return parse_semver(a, where) < parse_semver(b, where);
}

Dimension::Dimension(std::vector<int64_t> list)
    : min(*std::min_element(list.begin(), list.end())),
      max(*std::max_element(list.begin(), list.end())),
      choices(std::move(list)) {}

bool Dimension::accepts(int64_t value) const {
  if (choices.empty()) return value >= min && value <= max;
  return std::find(choices.begin(), choices.end(), value) != choices.end();
}

std::string Dimension::str() const {
  if (choices.empty())
    return min == max ? std::to_string(min) : std::to_string(min) + ".." + std::to_string(max);
  std::string text;
  for (const int64_t choice : choices) {
    if (!text.empty()) text += '|';
    text += std::to_string(choice);
  }
  return text;
}

bool is_model_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  return !name.empty() && name.size() <= 128 && plain && name[0] != '.';
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

void check_inside(const std::string& path, const std::string& where) {
  const std::filesystem::path parts(path);
  bool inside = !path.empty() && path.size() < 1024 && path.find('\0') == std::string::npos &&
                parts.is_relative();
  for (const std::filesystem::path& part : parts) inside = inside && part != ".." && !part.empty();
  if (!inside)
    throw Error(where, "must be a relative path inside the model folder, not '" + path + "'");
}

StageManifest parse_stage_manifest(std::string_view text, const std::string& where) {
  const nlohmann::json json = parse_json(text, where);
  const Fields fields(json, where);
  StageManifest stage;
  stage.kind = parse_name(fields.at("kind"), fields, "kind");
  stage.version = parse_version(fields, "version");
  stage.inputs = parse_ports(fields, "inputs");
  stage.outputs = parse_ports(fields, "outputs");
  stage.states = parse_ports(fields, "states");
  stage.config = fields.object("config").json();
  stage.compression = parse_compression(fields);
  if (fields.has("weights")) stage.weights = parse_digest(fields.object("weights"));
  return stage;
}

ModelManifest parse_model_manifest(std::string_view text, const std::string& where) {
  const nlohmann::json json = parse_json(text, where);
  const Fields fields(json, where);
  ModelManifest model;
  // First of all: a newer format may differ in everything else.
  model.min_runtime = parse_version(fields, "min_runtime");
  if (older(runtime_version(), model.min_runtime, where)) {
    throw Error(where,
                "needs Parley " + model.min_runtime + " or newer; this is " +
                    std::string(runtime_version()),
                "update Parley");
  }
  model.name = parse_name(fields.at("name"), fields, "name");
  model.version = parse_version(fields, "version");
  model.kind = fields.string("kind");
  if (model.kind != "stt" && model.kind != "tts" && model.kind != "vad") {
    fields.refuse("kind", "must be stt, tts or vad, not '" + model.kind + "'");
  }
  std::set<std::string> names;
  for (const nlohmann::json& stage : fields.array("stages", kMaxStages)) {
    model.stages.push_back(parse_name(stage, fields, "stages"));
    if (!names.insert(model.stages.back()).second) fields.refuse("stages", "names a stage twice");
  }
  if (fields.has("files")) {
    for (const nlohmann::json& file : fields.array("files", kMaxFiles)) {
      model.files.push_back(parse_digest(Fields(file, where + ": files")));
    }
  }
  if (fields.has("licence")) model.licence = fields.string("licence");
  if (fields.has("source")) model.source = fields.object("source").json();
  return model;
}

nlohmann::json to_json(const StageManifest& stage) {
  nlohmann::json compression = nlohmann::json::object();
  for (const StoredTensor& tensor : stage.compression) {
    compression[tensor.name] = {{"storage", nn::name_of(tensor.storage)},
                                {"shape", to_json(tensor.shape)}};
  }
  nlohmann::json json = {
      {"kind", stage.kind},
      {"version", stage.version},
      {"inputs", to_json(stage.inputs)},
      {"outputs", to_json(stage.outputs)},
      {"states", to_json(stage.states)},
      {"config", stage.config},
      {"compression", std::move(compression)},
  };
  if (stage.weights) json["weights"] = to_json(*stage.weights);
  return json;
}

nlohmann::json to_json(const ModelManifest& model) {
  nlohmann::json files = nlohmann::json::array();
  for (const FileDigest& file : model.files) files.push_back(to_json(file));
  return {
      {"name", model.name},     {"version", model.version},         {"kind", model.kind},
      {"stages", model.stages}, {"files", std::move(files)},        {"licence", model.licence},
      {"source", model.source}, {"min_runtime", model.min_runtime},
  };
}

}  // namespace parley::stage
