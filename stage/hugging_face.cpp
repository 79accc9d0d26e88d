#include "stage/hugging_face.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "stage/json.h"
#include "stage/manifest.h"
#include "stage/safetensors.h"
#include "stage/torch_file.h"
#include "stage/whisper_stages.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShards = 256;
constexpr std::string_view kOutputWeight = "proj_out.weight";
constexpr std::string_view kEmbedding = "decoder.embed_tokens.weight";

class SafetensorsTensor : public SourceTensor {
 public:
  SafetensorsTensor(const Safetensors& file, std::string name)
      : file_(file), name_(std::move(name)) {
    const std::string& dtype = file.dtype(name_);
    if (dtype == "F32") {
      dtype_ = nn::DType::kF32;
    } else if (dtype == "F16") {
      dtype_ = nn::DType::kF16;
    } else if (dtype == "BF16") {
      dtype_ = nn::DType::kBF16;
    } else {
      throw Error(file.where(), "tensor '" + name_ + "' is stored as " + dtype +
                                    "; only F32, F16 and BF16 are supported");
    }
  }

  nn::Shape shape() const override { return file_.shape(name_); }
  nn::DType dtype() const override { return dtype_; }
  void read(int64_t first, std::span<float> out) const override {
    const size_t element = nn::size_of(dtype_);
    const auto bytes =
        file_.bytes(name_).subspan(static_cast<size_t>(first) * element, out.size() * element);
    nn::Buffer aligned(bytes.size());
    std::copy(bytes.begin(), bytes.end(), aligned.data());
    nn::to_f32(aligned.data(), dtype_, out.size(), out.data());
  }

 private:
  const Safetensors& file_;
  std::string name_;
  nn::DType dtype_ = nn::DType::kF32;
};

// "model.encoder.conv1.weight" -> "encoder.conv1.weight"; proj_out.weight and names of a bare
// WhisperModel stay.
std::string our_name(std::string_view theirs) {
  constexpr std::string_view kPrefix = "model.";
  if (theirs.starts_with(kPrefix)) theirs.remove_prefix(kPrefix.size());
  return std::string(theirs);
}

void add_tensor(WhisperCheckpoint& checkpoint, std::string_view theirs,
                std::unique_ptr<SourceTensor> tensor, const std::string& where) {
  if (!checkpoint.tensors.emplace(our_name(theirs), std::move(tensor)).second) {
    throw Error(where, "tensor '" + std::string(theirs) + "' occurs twice");
  }
}

struct Shards {
  std::vector<std::unique_ptr<Safetensors>> safetensors;
  std::vector<std::unique_ptr<TorchFile>> torch;
};

void add_safetensors(WhisperCheckpoint& checkpoint, Shards& shards, const fs::path& path) {
  const Safetensors& file = *shards.safetensors.emplace_back(std::make_unique<Safetensors>(path));
  for (const std::string& name : file.names()) {
    add_tensor(checkpoint, name, std::make_unique<SafetensorsTensor>(file, name), path.string());
  }
}

void add_torch(WhisperCheckpoint& checkpoint, Shards& shards, const fs::path& path) {
  const TorchFile& file = *shards.torch.emplace_back(std::make_unique<TorchFile>(path));
  const auto* state = std::get_if<Pickle::Dict>(&file.pickle().root());
  if (state == nullptr) throw Error(path.string(), "does not hold a state dict");
  for (const auto& [key, value] : state->items) {
    const auto* name = std::get_if<std::string_view>(&file.pickle()[key]);
    const auto* tensor = std::get_if<Pickle::Tensor>(&file.pickle()[value]);
    if (name == nullptr || tensor == nullptr)
      throw Error(path.string(), "its state dict holds more than tensors");
    add_tensor(checkpoint, *name, file.tensor(*tensor, std::string(*name)), path.string());
  }
}

// The files that an index names, each once, in order.
std::vector<fs::path> shard_paths(const fs::path& index) {
  const nlohmann::json json = read_json(index, {.bytes = size_t{16} << 20});
  const Fields map = Fields(json, index.string()).object("weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, value] : map.json().items()) {
    const std::string name = map.string(tensor);
    check_inside(name, map.where());
    names.insert(name);
  }
  if (names.empty() || names.size() > kMaxShards)
    throw Error(index.string(), "names no shards, or too many");
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(index.parent_path() / name);
  return paths;
}

void add_weights(WhisperCheckpoint& checkpoint, const fs::path& folder) {
  const auto shards = std::make_shared<Shards>();
  const auto exists = [&](const char* name) { return fs::is_regular_file(folder / name); };
  bool torch = false;
  if (exists("model.safetensors")) {
    checkpoint.files = {folder / "model.safetensors"};
  } else if (exists("model.safetensors.index.json")) {
    checkpoint.files = shard_paths(folder / "model.safetensors.index.json");
  } else if (exists("pytorch_model.bin")) {
    checkpoint.files = {folder / "pytorch_model.bin"};
    torch = true;
  } else if (exists("pytorch_model.bin.index.json")) {
    checkpoint.files = shard_paths(folder / "pytorch_model.bin.index.json");
    torch = true;
  } else {
    throw Error(folder.string(),
                "has neither model.safetensors nor pytorch_model.bin, nor an index of shards");
  }
  for (const fs::path& path : checkpoint.files) {
    torch ? add_torch(checkpoint, *shards, path) : add_safetensors(checkpoint, *shards, path);
  }
  checkpoint.storage = shards;
}

// The output matrix is the token embedding in every Whisper; checkpoints may store it again.
void drop_tied_output(WhisperCheckpoint& checkpoint) {
  const auto output = checkpoint.tensors.find(std::string(kOutputWeight));
  if (output == checkpoint.tensors.end()) return;
  const auto embedding = checkpoint.tensors.find(std::string(kEmbedding));
  bool same = embedding != checkpoint.tensors.end() &&
              output->second->shape() == embedding->second->shape();
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

// `license: apache-2.0` between the `---` lines at the top of README.md, as on the Hugging Face
// hub.
std::string read_licence(const fs::path& folder) {
  const fs::path readme = folder / "README.md";
  constexpr size_t kMaxReadme = size_t{4} << 20;
  if (!fs::is_regular_file(readme) || fs::file_size(readme) > kMaxReadme) return "";
  const std::string text = read_file(readme, kMaxReadme);
  constexpr std::string_view kKey = "\nlicense:";
  const size_t end = text.find("\n---", 3);
  const size_t at = text.find(kKey);
  if (!text.starts_with("---\n") || end == std::string::npos || at > end) return "";
  const size_t begin = text.find_first_not_of(' ', at + kKey.size());
  return text.substr(begin, text.find('\n', begin) - begin);
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

WhisperCheckpoint open_hugging_face(const fs::path& folder) {
  WhisperCheckpoint checkpoint;
  checkpoint.where = folder.string();
  checkpoint.format = "huggingface";
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
  add_weights(checkpoint, folder);
  drop_tied_output(checkpoint);
  checkpoint.licence = read_licence(folder);
  return checkpoint;
}

}  // namespace parley::stage
