#include "parley/convert/voices_convert.h"

#include <algorithm>

#include "parley/convert/npy.h"
#include "parley/convert/weights_writer.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"
#include "parley/core/model/safetensors.h"
#include "parley/core/model/voices.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxVoices = 4096;

void check_name(const std::string& name, const std::string& where) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
  if (name.empty() || name.size() > 128 || !plain) {
    throw Error(where, "'" + name + "' cannot be the name of a voice",
                "use letters, digits, '.', '_' and '-'");
  }
}

Voice read_npy(const fs::path& path, int64_t size) {
  const MappedFile file(path);
  Voice voice{path.stem().string(), parse_npy(file.bytes(), path.string(), kMaxVoiceSize).values};
  check_name(voice.name, path.string());
  check_voice(voice.vector, size, path.string());
  return voice;
}

void read_safetensors(const fs::path& path, int64_t size, std::vector<Voice>& voices) {
  const Safetensors file(path);
  for (const std::string& name : file.names()) {
    const std::string where = path.string() + ": tensor '" + name + "'";
    check_name(name, path.string());
    const nn::Tensor tensor = file.tensor(name);
    if (tensor.dtype != nn::DType::kF32 && tensor.dtype != nn::DType::kF16 &&
        tensor.dtype != nn::DType::kBF16)
      throw Error(where, "is not of a floating-point type");
    if (tensor.shape.elements() > kMaxVoiceSize) throw Error(where, "is too long for a voice");
    Voice voice{name, std::vector<float>(static_cast<size_t>(tensor.shape.elements()))};
    nn::to_f32(tensor.data, tensor.dtype, voice.vector.size(), voice.vector.data());
    check_voice(voice.vector, size, where);
    voices.push_back(std::move(voice));
  }
}

void read_file_of_voices(const fs::path& path, int64_t size, std::vector<Voice>& voices) {
  if (path.extension() == ".npy") {
    voices.push_back(read_npy(path, size));
  } else if (path.extension() == ".safetensors") {
    read_safetensors(path, size, voices);
  } else {
    throw Error(path.string(), "is neither .npy nor .safetensors");
  }
}

}  // namespace

std::vector<Voice> read_voices(const fs::path& source, int64_t size) {
  std::vector<Voice> voices;
  if (fs::is_directory(source)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
      const fs::path& path = entry.path();
      if (path.extension() == ".npy" || path.extension() == ".safetensors")
        read_file_of_voices(path, size, voices);
      if (voices.size() > kMaxVoices) throw Error(source.string(), "holds too many voices");
    }
  } else {
    read_file_of_voices(source, size, voices);
  }
  if (voices.empty()) throw Error(source.string(), "holds no voices (.npy, .safetensors)");
  std::sort(voices.begin(), voices.end(),
            [](const Voice& a, const Voice& b) { return a.name < b.name; });
  for (size_t i = 1; i < voices.size(); ++i) {
    if (voices[i].name == voices[i - 1].name)
      throw Error(source.string(), "has two voices named '" + voices[i].name + "'");
  }
  return voices;
}

void write_voices(const FolderWriter& folder, const std::vector<Voice>& voices) {
  const auto size = static_cast<int64_t>(voices.front().vector.size());
  const fs::path path = folder.subfolder("voices") / kWeightsFile;
  std::vector<TensorInfo> tensors;
  for (const Voice& voice : voices) tensors.push_back({voice.name, nn::DType::kF32, {size}});
  SafetensorsWriter writer(path, tensors, {{"format", "pt"}});
  for (const Voice& voice : voices)
    writer.write(voice.name, std::as_bytes(std::span(voice.vector)));
  writer.commit();
  StageManifest stage;
  stage.kind = kVoicesKind;
  stage.outputs = {{"speaker", {size}, nn::DType::kF32}};
  stage.config = {{kVoiceSizeField, size}, {"default", voices.front().name}};
  stage.weights = FileDigest{kWeightsFile, fs::file_size(path), sha256_of_file(path)};
  write_json(folder.subfolder("voices"), "stage.json", to_json(stage));
}

}  // namespace parley::stage
