#include "stage/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "stage/digest.h"
#include "stage/folder_writer.h"
#include "stage/ggml.h"
#include "stage/hugging_face.h"
#include "stage/manifest.h"
#include "stage/openai.h"
#include "stage/safetensors.h"
#include "stage/whisper_stages.h"
#include "text/tokenizer.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kPartElements = 1 << 20;
constexpr const char* kWeightsFile = "weights.safetensors";

WhisperCheckpoint open_checkpoint(const fs::path& source) {
  if (fs::is_directory(source)) {
    if (fs::exists(source / "model.json"))
      throw Error(source.string(), "is a model folder already");
    return open_hugging_face(source);
  }
  const MappedFile file(source);
  const auto starts_with = [&](std::string_view magic) {
    return file.bytes().size() >= magic.size() &&
           std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
  };
  if (starts_with("lmgg")) return open_ggml(source);
  if (starts_with("PK") || starts_with("\x80\x02")) return open_openai(source);
  const bool safetensors = source.extension() == ".safetensors";
  throw Error(source.string(), "is not a checkpoint that can be converted",
              safetensors ? "give the folder that holds it and its config.json"
                          : "known are Hugging Face folders, .pt files of openai/whisper, and "
                            "ggml-*.bin files of whisper.cpp");
}

text::Tokenizer open_tokenizer(const fs::path& source, const WhisperCheckpoint& checkpoint,
                               const fs::path& option) {
  const auto vocab_size = static_cast<int>(checkpoint.dims.vocab_size);
  text::Tokenizer tokenizer = [&] {
    if (!option.empty()) return text::Tokenizer::from_path(option, vocab_size);
    if (!checkpoint.vocabulary.empty()) {
      return text::Tokenizer::from_ranks(checkpoint.vocabulary, vocab_size, checkpoint.where);
    }
    if (fs::is_directory(source)) return text::Tokenizer::from_folder(source, vocab_size);
    throw Error(checkpoint.where, "holds no tokenizer",
                "name its tokenizer.json, .tiktoken file or folder with --tokenizer");
  }();
  if (tokenizer.size() > vocab_size) {
    throw Error(option.empty() ? checkpoint.where : option.string(),
                "the tokenizer has " + std::to_string(tokenizer.size()) +
                    " tokens, the model only " + std::to_string(vocab_size));
  }
  return tokenizer;
}

// "openai_whisper-tiny.en.pt" -> "openai_whisper-tiny.en": a name that a manifest accepts.
std::string default_name(const fs::path& source) {
  const fs::path full = fs::weakly_canonical(source);
  std::string name = fs::is_directory(full) ? full.filename().string() : full.stem().string();
  if (name.starts_with("ggml-")) name = name.substr(5);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '-';
  }
  name.erase(0, name.find_first_not_of(".-"));
  return name.empty() ? "whisper" : name.substr(0, 128);
}

std::string digest_of(const std::vector<fs::path>& files) {
  if (files.size() == 1) return sha256_of_file(files[0]);
  Sha256 digest;
  for (const fs::path& file : files)
    digest.update(file.filename().string() + " " + sha256_of_file(file) + "\n");
  return digest.hex();
}

nn::DType storage_type(const NamedShape& tensor, const SourceTensor& source,
                       WeightStorage weights) {
  const bool small = tensor.shape.rank() == 1 || tensor.name == "embed_positions.weight";
  if (small) return nn::DType::kF32;
  return weights == WeightStorage::kF16 ? nn::DType::kF16 : source.dtype();
}

// f32 values as `dtype`, in place; returns their bytes.
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

// Takes the checkpoint's tensors one by one and counts what is done.
class WeightsWriter {
 public:
  WeightsWriter(const WhisperCheckpoint& checkpoint, const ConvertOptions& options)
      : checkpoint_(checkpoint), options_(options) {}

  // The tensors of one stage ("encoder") with the types that they will be stored as. Throws Error
  // when one is missing or of another shape.
  std::vector<TensorInfo> plan(const std::string& stage, const std::vector<NamedShape>& expected);
  // Throws Error when the checkpoint has tensors that no stage took.
  void check_all_taken() const;
  FileDigest write(const std::string& stage, const std::vector<TensorInfo>& tensors,
                   const fs::path& folder);

 private:
  const SourceTensor& source(const std::string& stage, const std::string& name) const;

  const WhisperCheckpoint& checkpoint_;
  const ConvertOptions& options_;
  size_t taken_ = 0;
  ConvertProgress progress_;
};

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
  }
  taken_ += tensors.size();
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
  if (taken_ == checkpoint_.tensors.size()) return;
  const auto encoder = whisper_encoder_tensors(checkpoint_.dims);
  const auto decoder = whisper_decoder_tensors(checkpoint_.dims);
  const auto expected = [](const std::vector<NamedShape>& list, const std::string& prefix,
                           const std::string& name) {
    return std::any_of(list.begin(), list.end(),
                       [&](const NamedShape& tensor) { return prefix + tensor.name == name; });
  };
  for (const auto& [name, tensor] : checkpoint_.tensors) {
    if (!expected(encoder, "encoder.", name) && !expected(decoder, "decoder.", name)) {
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

}  // namespace

void convert(const fs::path& source, const fs::path& destination, const ConvertOptions& options) {
  FolderWriter folder(destination, "model.json");
  const WhisperCheckpoint checkpoint = open_checkpoint(source);
  const WhisperDims& dims = checkpoint.dims;
  WeightsWriter weights(checkpoint, options);
  const auto encoder_tensors = weights.plan("encoder", whisper_encoder_tensors(dims));
  const auto decoder_tensors = weights.plan("decoder", whisper_decoder_tensors(dims));
  weights.check_all_taken();
  const text::Tokenizer tokenizer = open_tokenizer(source, checkpoint, options.tokenizer);
  const std::string source_digest = digest_of(checkpoint.files);
  const nlohmann::json facts =
      generation_facts(checkpoint.generation, dims, tokenizer, source_digest, checkpoint.where);

  StageManifest encoder = encoder_manifest(dims);
  encoder.weights = weights.write("encoder", encoder_tensors, folder.subfolder("encoder"));
  StageManifest decoder = decoder_manifest(dims, facts);
  decoder.weights = weights.write("decoder", decoder_tensors, folder.subfolder("decoder"));
  write_json(folder.subfolder("frontend"), "stage.json", to_json(frontend_manifest(dims)));
  write_json(folder.subfolder("encoder"), "stage.json", to_json(encoder));
  write_json(folder.subfolder("decoder"), "stage.json", to_json(decoder));

  ModelManifest model;
  model.name = options.name.empty() ? default_name(source) : options.name;
  model.kind = "stt";
  model.stages = {"frontend", "encoder", "decoder"};
  model.files = {write_text(folder.path(), "tokenizer.json", tokenizer.to_tokenizer_json())};
  model.licence = checkpoint.licence;
  model.source = {{"format", checkpoint.format},
                  {"name", fs::weakly_canonical(source).filename().string()},
                  {"sha256", source_digest}};
  const std::string manifest = to_json(model).dump(2) + "\n";
  parse_model_manifest(manifest,
                       options.name.empty() ? destination.string() : "--name " + options.name);
  write_text(folder.path(), "model.json", manifest);
  folder.commit();
}

}  // namespace parley::stage
