#include "parley/convert/hugging_face.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "parley/convert/torch_file.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/model/manifest.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShards = 256;

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
    nn::to_f32(bytes.data(), dtype_, out.size(), out.data());
  }

 private:
  const Safetensors& file_;
  std::string name_;
  nn::DType dtype_ = nn::DType::kF32;
};

// The files of a checkpoint, opened. Tensors are made in a second pass, since a prefix counts only
// when all names have it.
struct Shards {
  std::vector<std::unique_ptr<Safetensors>> safetensors;
  std::vector<std::unique_ptr<TorchFile>> torch;
};

// Calls visit(name, tensor) for all of a state dict.
template <typename Visit>
void each_tensor(const TorchFile& file, const Visit& visit) {
  const auto* state = std::get_if<Pickle::Dict>(&file.pickle().root());
  if (state == nullptr) throw Error(file.where(), "does not hold a state dict");
  for (const auto& [key, value] : state->items) {
    const auto* name = std::get_if<std::string_view>(&file.pickle()[key]);
    const auto* tensor = std::get_if<Pickle::Tensor>(&file.pickle()[value]);
    if (name == nullptr || tensor == nullptr)
      throw Error(file.where(), "its state dict holds more than tensors");
    visit(*name, *tensor);
  }
}

std::string prefix_of(const Shards& shards) {
  std::vector<std::string_view> names;
  for (const auto& file : shards.safetensors)
    names.insert(names.end(), file->names().begin(), file->names().end());
  for (const auto& file : shards.torch)
    each_tensor(*file, [&](std::string_view name, const auto&) { names.push_back(name); });
  return wrapper_prefix(names);
}

// Adds tensors under our names; those that have none are left out.
void add_tensors(Checkpoint& checkpoint, const Shards& shards, const TensorNames& our_name) {
  const size_t prefix = prefix_of(shards).size();
  const auto add = [&](const std::string& name, std::unique_ptr<SourceTensor> tensor,
                       const std::string& where) {
    if (!checkpoint.tensors.emplace(name, std::move(tensor)).second)
      throw Error(where, "tensor '" + name + "' occurs twice");
  };
  for (const auto& file : shards.safetensors) {
    for (const std::string& theirs : file->names()) {
      const auto name = our_name(std::string_view(theirs).substr(prefix));
      if (name) add(*name, std::make_unique<SafetensorsTensor>(*file, theirs), file->where());
    }
  }
  for (const auto& file : shards.torch) {
    each_tensor(*file, [&](std::string_view theirs, const Pickle::Tensor& tensor) {
      const auto name = our_name(theirs.substr(prefix));
      if (name) add(*name, file->tensor(tensor, std::string(theirs)), file->where());
    });
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

}  // namespace

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

std::string wrapper_prefix(std::span<const std::string_view> names) {
  static constexpr std::string_view kWrappers[] = {"base_model.model.", "module.", "_orig_mod.",
                                                   "model."};
  std::string prefix;
  const auto all_have = [&](std::string_view wrapper) {
    return !names.empty() && std::all_of(names.begin(), names.end(), [&](std::string_view name) {
      return name.substr(std::min(prefix.size(), name.size())).starts_with(wrapper);
    });
  };
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view wrapper : kWrappers) {
      if (!all_have(wrapper)) continue;
      prefix += wrapper;
      found = true;
    }
  }
  return prefix;
}

Checkpoint open_hugging_face(const fs::path& folder, const TensorNames& our_name) {
  Checkpoint checkpoint;
  checkpoint.where = folder.string();
  checkpoint.format = "huggingface";
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
    if (torch) {
      shards->torch.push_back(std::make_unique<TorchFile>(path));
    } else {
      shards->safetensors.push_back(std::make_unique<Safetensors>(path));
    }
  }
  add_tensors(checkpoint, *shards, our_name);
  checkpoint.storage = shards;
  checkpoint.licence = read_licence(folder);
  return checkpoint;
}

}  // namespace parley::stage
