#include "parley/convert/foreign_source.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "parley/convert/ctranslate2.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr const char* kOriginal = "convert the checkpoint that it was made from";

// What a folder holds, seen once.
struct Listing {
  std::vector<std::string> files;  // sorted
  std::vector<std::string> folders;

  bool has(std::string_view name) const {
    return std::binary_search(files.begin(), files.end(), name);
  }
  // The first file with one of these endings; empty when there is none.
  std::string ending_in(std::initializer_list<std::string_view> endings) const {
    for (const std::string& file : files) {
      for (const std::string_view ending : endings)
        if (file.ends_with(ending)) return file;
    }
    return "";
  }
};

constexpr size_t kMaxEntries = 10000;

Listing list(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (listing.files.size() + listing.folders.size() >= kMaxEntries) break;
    std::error_code unreadable;
    const std::string name = entry->path().filename().string();
    (entry->is_directory(unreadable) ? listing.folders : listing.files).push_back(name);
  }
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

bool has_transformers_weights(const Listing& listing) {
  return listing.has("model.safetensors") || listing.has("model.safetensors.index.json") ||
         listing.has("pytorch_model.bin") || listing.has("pytorch_model.bin.index.json");
}

bool is_checkpoint(const fs::path& folder) {
  const Listing listing = list(folder);
  return (listing.has("config.json") && has_transformers_weights(listing)) ||
         is_ctranslate2(folder / "model.bin");
}

// The number in "checkpoint-1000"; -1 for other names.
int64_t step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "checkpoint-";
  int64_t step = -1;
  if (name.starts_with(kPrefix))
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  return step;
}

constexpr int kMaxDepth = 3;  // models--openai--whisper-base/snapshots/<commit>

// Checkpoints below a folder.
void find_checkpoints(const fs::path& folder, int depth, std::vector<fs::path>& found) {
  constexpr size_t kMaxFound = 100;
  for (const std::string& name : list(folder).folders) {
    if (found.size() >= kMaxFound || name.starts_with(".")) continue;
    const fs::path below = folder / name;
    if (is_checkpoint(below)) {
      found.push_back(below);
    } else if (depth < kMaxDepth) {
      find_checkpoints(below, depth + 1, found);
    }
  }
}

// A training folder, a cache, or any other folder around checkpoints.
void refuse_folder_around(const fs::path& folder) {
  std::vector<fs::path> found;
  find_checkpoints(folder, 1, found);
  if (found.empty()) return;
  const auto step = [](const fs::path& path) { return step_of(path.filename().string()); };
  const auto last =
      std::max_element(found.begin(), found.end(),
                       [&](const fs::path& a, const fs::path& b) { return step(a) < step(b); });
  const bool training = step(*last) >= 0;
  const std::string count =
      found.size() == 1 ? "a folder that does" : std::to_string(found.size()) + " folders that do";
  throw Error(folder.string(), "holds no weights itself, but " + count,
              (training ? "the last step of the training is " : "give ") + last->string());
}

void refuse_adapter(const fs::path& folder, const fs::path& config_path) {
  const nlohmann::json config = read_json(config_path);
  const Fields fields(config, config_path.string());
  const auto text = [&](const char* key, const std::string& otherwise) {
    return fields.has(key) ? fields.string(key) : otherwise;
  };
  const std::string base = text("base_model_name_or_path", "");
  throw Error(folder.string(),
              "is an adapter (" + text("peft_type", "PEFT") + ") of " +
                  (base.empty() ? "another model" : "the model '" + base + "'") +
                  ", which holds only what it changes",
              "merge both in Python, PeftModel.from_pretrained(model, adapter)"
              ".merge_and_unload().save_pretrained(FOLDER), and convert that folder");
}

// Weights in more compact numbers than the formats below can hold, by other programs' rules.
void refuse_quantized(const fs::path& config_path) {
  if (!fs::is_regular_file(config_path)) return;
  const nlohmann::json config = read_json(config_path);
  const Fields fields(config, config_path.string());
  if (!fields.has("quantization_config")) return;
  const Fields quantization = fields.object("quantization_config");
  const std::string method = quantization.has("quant_method") ? quantization.string("quant_method")
                                                              : std::string("an unknown method");
  throw Error(config_path.parent_path().string(),
              "is quantized by " + method + ", which cannot be read",
              std::string(kOriginal) + "; `parley compress` then makes it small");
}

// Weights of a kind that is not read, and nothing that is.
void refuse_other_weights(const fs::path& folder, const Listing& listing) {
  const auto refuse = [&](const std::string& what, const std::string& advice) {
    throw Error(folder.string(), what, advice);
  };
  const std::string onnx = listing.ending_in({".onnx", ".ort"});
  if (!onnx.empty() || std::ranges::count(listing.folders, "onnx") > 0)
    refuse("is an export for ONNX" + (onnx.empty() ? "" : " (" + onnx + ")"), kOriginal);
  const std::string npz = listing.ending_in({".npz"});
  if (!npz.empty() || listing.has("weights.safetensors"))
    refuse("is a model of MLX (" + (npz.empty() ? "weights.safetensors" : npz) + ")", kOriginal);
  const bool keras = !listing.ending_in({".h5", ".keras"}).empty();
  const bool flax = !listing.ending_in({".msgpack"}).empty();
  if (keras || flax) {
    refuse(std::string("holds weights of ") + (keras ? "TensorFlow" : "Flax") + " only",
           std::string("load it in transformers with ") + (keras ? "from_tf" : "from_flax") +
               "=True, save_pretrained() it, and convert that folder");
  }
}

// Checkpoints that are one file.
void refuse_folder_of_files(const fs::path& folder, const Listing& listing) {
  const std::string file = listing.ending_in({".gguf", ".pt"});
  std::string ggml;
  for (const std::string& name : listing.files) {
    if (ggml.empty() && name.starts_with("ggml-") && name.ends_with(".bin")) ggml = name;
  }
  const std::string& first = ggml.empty() ? file : ggml;
  if (first.empty()) return;
  throw Error(folder.string(), "is a folder around checkpoints that are one file each",
              "give the file, " + (folder / first).string());
}

std::string joined(const std::vector<std::string>& names) {
  constexpr size_t kMaxNames = 4;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMaxNames); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMaxNames ? text + ", ..." : text;
}

void refuse_folder(const fs::path& folder) {
  const Listing listing = list(folder);
  if (has_transformers_weights(listing)) {
    refuse_quantized(folder / "config.json");
    if (!listing.has("config.json"))
      throw Error(folder.string(), "holds weights, but not their config.json",
                  "take it from where the weights are from");
    return;
  }
  if (is_ctranslate2(folder / "model.bin")) return;
  if (listing.has("adapter_config.json")) refuse_adapter(folder, folder / "adapter_config.json");
  refuse_folder_of_files(folder, listing);
  refuse_folder_around(folder);
  refuse_other_weights(folder, listing);
  std::vector<std::string> names = listing.files;
  names.insert(names.end(), listing.folders.begin(), listing.folders.end());
  if (names.empty()) throw Error(folder.string(), "is an empty folder");
  throw Error(folder.string(), "holds no weights, only " + joined(names),
              listing.has(".gitattributes")
                  ? "large files of a Git repository come with `git lfs pull`"
                  : "needed: model.safetensors or pytorch_model.bin beside config.json, or "
                    "CTranslate2's model.bin");
}

struct Magic {
  size_t offset;
  std::string_view bytes;
  const char* what;
  const char* advice;
};

constexpr const char* kUnpack = "unpack it and give the folder, or the checkpoint in it";

constexpr Magic kMagics[] = {
    {257, "ustar", "is a tar archive", kUnpack},
    {0, "\x1f\x8b", "is a gzip archive", kUnpack},
    {0, "BZh", "is a bzip2 archive", kUnpack},
    {0,
     "\xfd"
     "7zXZ",
     "is an xz archive", kUnpack},
    {0, "\x28\xb5\x2f\xfd", "is a zstd archive", kUnpack},
    {0, "7z\xbc\xaf", "is a 7z archive", kUnpack},
    {0, "Rar!", "is a rar archive", kUnpack},
    {0, "\x89HDF", "holds weights of TensorFlow (HDF5)", kOriginal},
    {4, "TFL3", "is an export for TensorFlow Lite", kOriginal},
};

void refuse_file(const fs::path& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  if (text.empty()) throw Error(path.string(), "is an empty file");
  for (const Magic& magic : kMagics) {
    if (text.size() > magic.offset && text.substr(magic.offset).starts_with(magic.bytes))
      throw Error(path.string(), magic.what, magic.advice);
  }
  const std::string extension = path.extension().string();
  if (extension == ".onnx") throw Error(path.string(), "is an export for ONNX", kOriginal);
  if (extension == ".msgpack") throw Error(path.string(), "holds weights of Flax", kOriginal);
  const bool part = extension == ".json" || extension == ".safetensors" || is_ctranslate2(path);
  if (part || path.filename() == "pytorch_model.bin") {
    throw Error(path.string(), "is one file of a checkpoint",
                "give the folder that holds it and its config.json");
  }
}

}  // namespace

void refuse_foreign_source(const fs::path& source) {
  fs::is_directory(source) ? refuse_folder(source) : refuse_file(source);
}

}  // namespace parley::stage
