#include "parley/convert/weights_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kPartElements = 1 << 20;

nn::DType storage_type(const NamedShape& tensor, const SourceTensor& source,
                       WeightStorage weights) {
  const bool small = tensor.shape.rank() <= 1 || tensor.name == "embed_positions.weight";
  if (small) return nn::DType::kF32;
  return weights == WeightStorage::kF16 ? nn::DType::kF16 : source.dtype();
}

}  // namespace

std::span<const std::byte> narrow(std::span<float> values, nn::DType dtype,
                                  const std::string& where) {
  auto* halves = reinterpret_cast<std::byte*>(values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    if (!std::isfinite(value)) throw Error(where, "holds infinity or NaN");
    if (dtype == nn::DType::kF32) continue;
    const uint16_t half = dtype == nn::DType::kF16 ? nn::f32_to_f16(value) : nn::f32_to_bf16(value);
    if (dtype == nn::DType::kF16 && (half & 0x7fff) == 0x7c00) {
      throw Error(where, "holds " + std::to_string(value) + ", which f16 cannot",
                  "convert with --weights f32");
    }
    std::memcpy(halves + i * sizeof half, &half, sizeof half);
  }
  return {halves, values.size() * nn::size_of(dtype)};
}

const SourceTensor& WeightsWriter::source(const std::string& stage, const std::string& name) const {
  const auto found = checkpoint_.tensors.find(stage + "." + name);
  if (found == checkpoint_.tensors.end()) {
    throw Error(checkpoint_.where, "lacks the tensor '" + stage + "." + name + "'");
  }
  return *found->second;
}

std::vector<TensorInfo> WeightsWriter::plan(const std::string& stage,
                                            const std::vector<NamedShape>& expected) {
  std::vector<TensorInfo> tensors;
  for (const NamedShape& tensor : expected) {
    const SourceTensor& from = source(stage, tensor.name);
    if (!(from.shape() == tensor.shape)) {
      throw Error(checkpoint_.where, "tensor '" + stage + "." + tensor.name + "' has shape " +
                                         from.shape().str() + ", the configuration says " +
                                         tensor.shape.str());
    }
    tensors.push_back({tensor.name, storage_type(tensor, from, options_.weights), tensor.shape});
    progress_.total_bytes += tensors.back().bytes();
    taken_.insert(stage + "." + tensor.name);
  }
  return tensors;
}

void WeightsWriter::check_all_taken() const {
  // The densest source has 4.5 bits an element. More means tensors that lie on top of each other.
  constexpr uint64_t kMaxExpansion = 8;
  uint64_t source_bytes = 0;
  for (const fs::path& file : checkpoint_.files) source_bytes += fs::file_size(file);
  if (progress_.total_bytes / kMaxExpansion > source_bytes) {
    throw Error(checkpoint_.where, "is too small for the tensors that it claims to hold");
  }
  for (const auto& [name, tensor] : checkpoint_.tensors) {
    if (!taken_.contains(name)) {
      throw Error(checkpoint_.where,
                  "has a tensor that the configuration does not: '" + name + "'");
    }
  }
}

FileDigest WeightsWriter::write(const std::string& stage, const std::vector<TensorInfo>& tensors,
                                const fs::path& folder) {
  const fs::path path = folder / kWeightsFile;
  SafetensorsWriter writer(path, tensors, {{"format", "pt"}});
  std::vector<float> part;
  for (const TensorInfo& tensor : writer.order()) {
    const SourceTensor& from = source(stage, tensor.name);
    const std::string where = checkpoint_.where + ": tensor '" + stage + "." + tensor.name + "'";
    const int64_t elements = tensor.shape.elements();
    for (int64_t at = 0; at < elements; at += kPartElements) {
      part.resize(static_cast<size_t>(std::min(kPartElements, elements - at)));
      from.read(at, part);
      writer.write(tensor.name, narrow(part, tensor.dtype, where));
    }
    progress_.tensor = stage + "." + tensor.name;
    progress_.done_bytes += tensor.bytes();
    if (options_.progress) options_.progress(progress_);
  }
  writer.commit();
  return {kWeightsFile, fs::file_size(path), sha256_of_file(path)};
}

FileDigest write_text(const fs::path& folder, const std::string& name, const std::string& text) {
  AtomicFile file(folder / name);
  file.write(text);
  file.commit();
  Sha256 digest;
  digest.update(text);
  return {name, text.size(), digest.hex()};
}

void write_json(const fs::path& folder, const std::string& name, const nlohmann::json& json) {
  write_text(folder, name, json.dump(2) + "\n");
}

nlohmann::json source_facts(const Checkpoint& checkpoint, const fs::path& source) {
  return {{"format", checkpoint.format},
          {"name", fs::weakly_canonical(source).filename().string()},
          {"sha256", digest_of(checkpoint.files)}};
}

std::string digest_of(const std::vector<fs::path>& files) {
  if (files.size() == 1) return sha256_of_file(files[0]);
  Sha256 digest;
  for (const fs::path& file : files)
    digest.update(file.filename().string() + " " + sha256_of_file(file) + "\n");
  return digest.hex();
}

std::string default_model_name(const fs::path& source) {
  const fs::path full = fs::weakly_canonical(source);
  std::string name = fs::is_directory(full) ? full.filename().string() : full.stem().string();
  if (name.starts_with("ggml-")) name = name.substr(5);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '-';
  }
  name.erase(0, name.find_first_not_of(".-"));
  return name.empty() ? "model" : name.substr(0, 128);
}

}  // namespace parley::stage
