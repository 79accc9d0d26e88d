#include "parley/core/model/model.h"

#include <algorithm>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"

namespace parley::stage {

namespace {

constexpr size_t kMaxManifestBytes = size_t{4} << 20;

void check_size(const std::filesystem::path& path, const FileDigest& digest) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) throw Error(path.string(), "cannot be read: " + error.message());
  if (bytes != digest.bytes) {
    throw Error(path.string(),
                "has " + std::to_string(bytes) + " bytes; the manifest says " +
                    std::to_string(digest.bytes),
                "the file is damaged or cut short: install the model again");
  }
}

void check_digest(const std::filesystem::path& path, const FileDigest& digest) {
  check_size(path, digest);
  if (sha256_of_file(path) != digest.sha256) {
    throw Error(path.string(), "does not have the digest that the manifest says",
                "install the model again");
  }
}

std::string weights_digest(const std::vector<Stage>& stages) {
  Sha256 digest;
  for (const Stage& stage : stages) {
    if (stage.manifest().weights)
      digest.update(stage.name() + " " + stage.manifest().weights->sha256 + "\n");
  }
  return "sha256:" + digest.hex();
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> Stage::config_pairs(const std::string& key,
                                                             int64_t max_first,
                                                             int64_t max_second) const {
  const Fields config = fields();
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (const nlohmann::json& element : config.array(key, size_t{1} << 16)) {
    int64_t first = 0;
    int64_t second = 0;
    if (!element.is_array() || element.size() != 2 || !to_integer(element[0], first) ||
        !to_integer(element[1], second) || first < 0 || first > max_first || second < 0 ||
        second > max_second) {
      config.refuse(key, "must hold pairs up to [" + std::to_string(max_first) + ", " +
                             std::to_string(max_second) + "]");
    }
    pairs.emplace_back(first, second);
  }
  return pairs;
}

const Safetensors& Stage::weights() const {
  if (!weights_) throw Error(where_, "the stage has no weights");
  return *weights_;
}

nn::StoredMatrix Stage::matrix(const std::string& name, const nn::Shape& shape) const {
  const auto stored = std::lower_bound(
      manifest_.compression.begin(), manifest_.compression.end(), name,
      [](const StoredTensor& tensor, const std::string& key) { return tensor.name < key; });
  if (stored == manifest_.compression.end() || stored->name != name)
    return weights().tensor(name, shape);
  const std::string where = where_ + ": compression: '" + name + "'";
  if (!(stored->shape == shape))
    throw Error(where, "has shape " + stored->shape.str() + ", expected " + shape.str());
  const auto part = [&](const char* suffix, nn::DType dtype, const nn::Shape& expected) {
    const nn::Tensor tensor = weights().tensor(name + suffix, expected);
    if (tensor.dtype != dtype) {
      throw Error(weights().where(), "tensor '" + name + suffix + "' is " +
                                         std::string(nn::name_of(tensor.dtype)) + ", " +
                                         std::string(nn::name_of(stored->storage)) + " needs " +
                                         std::string(nn::name_of(dtype)));
    }
    return tensor;
  };
  nn::StoredMatrix matrix;
  matrix.shape = shape;
  matrix.storage = stored->storage;
  const nn::StorageLayout layout = nn::layout_of(matrix.storage, matrix.outputs(), matrix.inputs());
  matrix.data = part("", nn::DType::kU8, layout.data);
  matrix.scale = part(".scale", layout.scale_type, layout.scale);
  if (nn::is_palette(matrix.storage))
    matrix.palette = part(".lut", nn::DType::kF16, layout.palette);
  return matrix;
}

void Stage::require_kind(std::string_view kind) const {
  if (this->kind() != kind) {
    throw Error(where_,
                "is a stage of kind '" + this->kind() + "', not '" + std::string(kind) + "'");
  }
}

Model Model::open(const std::filesystem::path& path) {
  Model model;
  model.path_ = path;
  const std::filesystem::path manifest = path / "model.json";
  if (!std::filesystem::is_regular_file(manifest)) {
    throw Error(path.string(), "is not a model folder: it has no model.json",
                "make one from a checkpoint with `parley convert`");
  }
  model.manifest_ = parse_model_manifest(read_file(manifest, kMaxManifestBytes), manifest.string());
  for (const FileDigest& file : model.manifest_.files) check_size(path / file.file, file);
  for (const std::string& name : model.manifest_.stages) {
    Stage stage;
    const std::filesystem::path file = path / name / "stage.json";
    stage.name_ = name;
    stage.where_ = file.string();
    stage.manifest_ = parse_stage_manifest(read_file(file, kMaxManifestBytes), stage.where_);
    if (const auto& weights = stage.manifest_.weights) {
      const std::filesystem::path weights_path = path / name / weights->file;
      check_size(weights_path, *weights);
      stage.weights_ = std::make_unique<Safetensors>(weights_path);
    }
    model.stages_.push_back(std::move(stage));
  }
  model.digest_ = weights_digest(model.stages_);
  return model;
}

bool Model::has_stage(std::string_view name) const {
  return std::any_of(stages_.begin(), stages_.end(),
                     [&](const Stage& stage) { return stage.name() == name; });
}

const Stage& Model::stage(std::string_view name) const {
  for (const Stage& stage : stages_) {
    if (stage.name() == name) return stage;
  }
  throw Error(path_.string(), "the model has no stage '" + std::string(name) + "'");
}

std::filesystem::path Model::file(const std::string& name) const {
  check_inside(name, path_.string());
  std::filesystem::path path = path_ / name;
  if (!std::filesystem::is_regular_file(path))
    throw Error(path_.string(), "the model has no file '" + name + "'");
  return path;
}

void Model::verify() const {
  for (const FileDigest& file : manifest_.files) check_digest(path_ / file.file, file);
  for (const Stage& stage : stages_) {
    const auto& weights = stage.manifest().weights;
    if (weights) check_digest(path_ / stage.name() / weights->file, *weights);
  }
}

}  // namespace parley::stage
