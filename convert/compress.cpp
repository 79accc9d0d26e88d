#include "parley/convert/compress.h"

#include <algorithm>
#include <regex>

#include "parley/convert/quantize.h"
#include "parley/convert/weights_writer.h"
#include "parley/core/base/error.h"
#include "parley/core/model/digest.h"
#include "parley/core/model/folder_writer.h"
#include "parley/core/model/kinds.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;
using nn::Storage;

std::string name_of(const TensorStorage& storage) {
  return std::string(storage.storage == nn::Storage::kFloat ? nn::name_of(storage.floats)
                                                            : nn::name_of(storage.storage));
}

// A tensor of a stage under its logical name and shape.
struct Item {
  std::string name;
  nn::Shape shape;
  nn::StoredMatrix matrix;  // of rank 2 and more
  nn::Tensor vector;        // of rank 1
};

std::vector<Item> items_of(const Stage& stage) {
  std::vector<Item> items;
  const auto& compressed = stage.manifest().compression;
  const auto stored = [&](const std::string& name) {
    return std::find_if(compressed.begin(), compressed.end(),
                        [&](const StoredTensor& tensor) { return tensor.name == name; });
  };
  for (const std::string& name : stage.weights().names()) {
    const size_t dot = name.rfind('.');
    const bool companion = dot != std::string::npos &&
                           (name.substr(dot) == ".scale" || name.substr(dot) == ".lut") &&
                           stored(name.substr(0, dot)) != compressed.end();
    if (companion) continue;
    const auto found = stored(name);
    const nn::Shape shape = found == compressed.end() ? stage.weights().shape(name) : found->shape;
    Item item{.name = name, .shape = shape, .matrix = {}, .vector = {}};
    if (shape.rank() >= 2) {
      item.matrix = stage.matrix(name, shape);
      nn::check(item.matrix);
    } else {
      item.vector = stage.weights().tensor(name);
    }
    items.push_back(std::move(item));
  }
  return items;
}

class Rules {
 public:
  explicit Rules(const CompressOptions& options) : options_(options), used_(options.keep.size()) {
    for (const KeepRule& rule : options.keep) {
      try {
        patterns_.emplace_back(rule.pattern, std::regex::ECMAScript | std::regex::optimize);
      } catch (const std::regex_error& error) {
        throw Error("--keep " + rule.pattern,
                    std::string("is not a regular expression: ") + error.what());
      }
    }
  }

  // For a tensor of rank 2 and more.
  TensorStorage storage_of(const Stage& stage, const Item& item) {
    for (size_t i = 0; i < patterns_.size(); ++i) {
      if (!std::regex_search(stage.name() + "." + item.name, patterns_[i])) continue;
      used_[i] = true;
      return checked(stage, item, options_.keep[i]);
    }
    if (item.name == "embed_positions.weight") return {nn::Storage::kFloat, nn::DType::kF32};
    if (item.shape.rank() != 2 || !loads_compressed(stage) || is_small_and_heard(item.name))
      return {};
    const Storage chosen = options_.weights.storage;
    const bool coarse = chosen == Storage::kInt4 || chosen == Storage::kPalette4;
    if (item.name == "embed_tokens.weight" && coarse) return {Storage::kInt8};
    return options_.weights;
  }

  void check_all_used() const {
    for (size_t i = 0; i < used_.size(); ++i) {
      if (!used_[i]) throw Error("--keep " + options_.keep[i].pattern, "names no matrix");
    }
  }

 private:
  static bool loads_compressed(const Stage& stage) {
    const Kind* kind = find_kind(stage.kind());
    return kind != nullptr && kind->compressible;
  }
  // SpeechT5's mel decoder is computed in f32 where frames go in and come out.
  static bool is_small_and_heard(std::string_view name) {
    return name.starts_with("prenet.") || name == "feat_out.weight" || name == "prob_out.weight" ||
           name == "embed_positions.pe_k.weight";
  }
  static TensorStorage checked(const Stage& stage, const Item& item, const KeepRule& rule) {
    const bool compressible = loads_compressed(stage) && item.name != "embed_positions.weight";
    if (rule.storage.storage != nn::Storage::kFloat && !compressible) {
      throw Error("--keep " + rule.pattern, "'" + stage.name() + "." + item.name +
                                                "' cannot be stored as " + name_of(rule.storage));
    }
    return rule.storage;
  }

  const CompressOptions& options_;
  std::vector<std::regex> patterns_;
  std::vector<bool> used_;
};

// The tensors of one stage as they will be written. Compressed ones are held until they are.
class StageWriter {
 public:
  StageWriter(const Stage& stage, Rules& rules, nn::ThreadTeam& team,
              const std::function<void(const std::string&, uint64_t)>& done)
      : stage_(stage), manifest_(stage.manifest()) {
    manifest_.compression.clear();
    for (Item& item : items_of(stage)) {
      const uint64_t source_bytes = stage.weights().bytes(item.name).size();
      const std::string name = item.name;
      add(std::move(item), rules, team);
      done(stage.name() + "." + name, source_bytes);
    }
    std::sort(manifest_.compression.begin(), manifest_.compression.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
  }

  StageManifest write(const fs::path& folder) {
    SafetensorsWriter writer(folder / kWeightsFile, infos_, {{"format", "pt"}});
    for (const TensorInfo& info : writer.order()) {
      if (const auto ready = compressed_.find(info.name); ready != compressed_.end()) {
        writer.write(info.name, {ready->second.as<std::byte>(), ready->second.bytes()});
      } else {
        write_floats(writer, info);
      }
    }
    writer.commit();
    manifest_.weights = {kWeightsFile, fs::file_size(folder / kWeightsFile),
                         sha256_of_file(folder / kWeightsFile)};
    return manifest_;
  }

 private:
  void add(Item item, Rules& rules, nn::ThreadTeam& team) {
    const std::string name = item.name;
    if (item.shape.rank() < 2) {
      infos_.push_back({name, item.vector.dtype, item.shape});
      compressed_[name] = item.vector;
      return;
    }
    const TensorStorage target = rules.storage_of(stage_, item);
    if (target.storage == nn::Storage::kFloat) {
      infos_.push_back({name, target.floats, item.shape});
      floats_[name] = item.matrix;
      return;
    }
    refuse_broken(item);
    quantized_.push_back(quantize(item.matrix, target.storage, team));
    stage_.weights().release(item.matrix);
    const nn::StoredMatrix& matrix = quantized_.back().view;
    const auto part = [&](const std::string& part_name, const nn::Tensor& tensor) {
      if (!tensor) return;
      infos_.push_back({part_name, tensor.dtype, tensor.shape});
      compressed_[part_name] = tensor;
    };
    part(name, matrix.data);
    part(name + ".scale", matrix.scale);
    part(name + ".lut", matrix.palette);
    manifest_.compression.push_back({name, target.storage, item.shape});
  }

  // Infinities and NaN would spread over their neighbours.
  void refuse_broken(const Item& item) const {
    std::vector<float> row(static_cast<size_t>(item.matrix.inputs()));
    for (int64_t r = 0; r < item.matrix.outputs(); ++r) {
      nn::dequantize_row(item.matrix, r, row.data());
      narrow(row, nn::DType::kF32, stage_.weights().where() + ": tensor '" + item.name + "'");
    }
  }

  void write_floats(SafetensorsWriter& writer, const TensorInfo& info) {
    const nn::StoredMatrix& matrix = floats_.at(info.name);
    std::vector<float> row(static_cast<size_t>(matrix.inputs()));
    for (int64_t r = 0; r < matrix.outputs(); ++r) {
      nn::dequantize_row(matrix, r, row.data());
      writer.write(info.name, narrow(row, info.dtype,
                                     stage_.weights().where() + ": tensor '" + info.name + "'"));
    }
    stage_.weights().release(matrix);
  }

  const Stage& stage_;
  StageManifest manifest_;
  std::vector<TensorInfo> infos_;
  std::map<std::string, nn::Tensor> compressed_;  // ready bytes
  std::map<std::string, nn::StoredMatrix> floats_;
  std::vector<QuantizedMatrix> quantized_;
};

uint64_t weight_bytes(const Model& model) {
  uint64_t bytes = 0;
  for (const Stage& stage : model.stages()) {
    if (!stage.has_weights()) continue;
    for (const std::string& name : stage.weights().names())
      bytes += stage.weights().bytes(name).size();
  }
  return bytes;
}

}  // namespace

TensorStorage tensor_storage_named(const std::string& name) {
  if (name == "f16") return {nn::Storage::kFloat, nn::DType::kF16};
  if (name == "f32") return {nn::Storage::kFloat, nn::DType::kF32};
  const std::optional<nn::Storage> storage = nn::storage_named(name);
  if (!storage || *storage == nn::Storage::kFloat)
    throw Error(name, "is not a way to store weights");
  return {*storage};
}

void compress(const Model& model, const fs::path& destination, const CompressOptions& options) {
  FolderWriter folder(destination, "model.json");
  model.verify();
  Rules rules(options);
  nn::ThreadTeam team(options.threads);
  ConvertProgress progress;
  progress.total_bytes = weight_bytes(model);
  const auto done = [&](const std::string& tensor, uint64_t bytes) {
    progress.tensor = tensor;
    progress.done_bytes += bytes;
    if (options.progress) options.progress(progress);
  };
  for (const Stage& stage : model.stages()) {
    const fs::path stage_folder = folder.subfolder(stage.name());
    StageManifest manifest = stage.manifest();
    if (stage.has_weights()) manifest = StageWriter(stage, rules, team, done).write(stage_folder);
    write_json(stage_folder, "stage.json", to_json(manifest));
  }
  rules.check_all_used();
  ModelManifest manifest = model.manifest();
  for (const FileDigest& file : manifest.files) {
    fs::create_directories((folder.path() / file.file).parent_path());
    fs::copy_file(model.path() / file.file, folder.path() / file.file);
  }
  manifest.name = manifest.name.substr(0, 100) + "-" + name_of(options.weights);
  manifest.source["compressed_from"] = model.digest();
  write_json(folder.path(), "model.json", to_json(manifest));
  folder.commit();
}

}  // namespace parley::stage
