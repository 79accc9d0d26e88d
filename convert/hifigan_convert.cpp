// Opening HiFi-GAN checkpoints (hifigan.h).
#include "parley/convert/hifigan_convert.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "parley/convert/hugging_face.h"
#include "parley/convert/torch_file.h"
#include "parley/convert/weights_writer.h"
#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStage = "vocoder.";

fs::path config_of(const fs::path& source) {
  return (fs::is_directory(source) ? source : source.parent_path()) / "config.json";
}

// jik876 counts steps in the name: the last is wanted.
fs::path generator_file(const fs::path& source) {
  if (!fs::is_directory(source)) return source;
  fs::path last;
  for (const auto& entry : fs::directory_iterator(source)) {
    if (entry.is_regular_file() && entry.path().filename().string().starts_with("g_"))
      last = std::max(last, entry.path());
  }
  if (last.empty()) throw Error(source.string(), "holds no generator: there is no file g_XXXXXXXX");
  return last;
}

// meldataset.py of jik876/hifi-gan.
MelContract jik876_mel(const Fields& config, const HifiGanDims& dims) {
  MelContract mel;
  mel.sample_rate = config.integer("sampling_rate", 1000, 768000);
  mel.hop_length = config.integer("hop_size", dims.hop_length(), dims.hop_length());
  mel.win_length = config.integer("win_size", 2, 65536);
  mel.n_fft = config.integer("n_fft", 2, 65536);
  mel.n_mels = dims.model_in_dim;
  mel.f_min = config.number("fmin", 0, 384000);
  mel.f_max = config.has("fmax") ? config.number("fmax", 0, 384000)
                                 : static_cast<double>(mel.sample_rate) / 2;
  mel.log = "ln";
  mel.log_floor = 1e-5;
  return mel;
}

// transformers calls more than one vocoder "hifigan", with other mels.
MelContract speecht5_mel(const Fields& config, const HifiGanDims& dims) {
  const nlohmann::json& names = config.array("architectures", 16);
  if (std::find(names.begin(), names.end(), "SpeechT5HifiGan") == names.end())
    config.refuse("architectures", "must name SpeechT5HifiGan");
  MelContract mel;
  mel.sample_rate = config.integer("sampling_rate", 1000, 768000);
  mel.hop_length = dims.hop_length();
  mel.n_mels = dims.model_in_dim;
  return mel;
}

// "ups.0.weight_g" of jik876 -> "vocoder.upsampler.0.weight_g".
std::string our_name(std::string_view theirs) {
  constexpr std::string_view kUps = "ups.";
  if (theirs.starts_with(kUps))
    return std::string(kStage) + "upsampler." + std::string(theirs.substr(kUps.size()));
  return kStage + std::string(theirs);
}

void read_generator(HifiGanCheckpoint& checkpoint, const fs::path& path) {
  const auto file = std::make_shared<const TorchFile>(path);
  const Pickle& pickle = file->pickle();
  const Pickle::Value* state = std::holds_alternative<Pickle::Dict>(pickle.root())
                                   ? pickle.find(pickle.root(), "generator")
                                   : nullptr;
  if (state == nullptr || !std::holds_alternative<Pickle::Dict>(*state))
    throw Error(path.string(), "has no 'generator': it is not a checkpoint of jik876/hifi-gan");
  for (const auto& [key, value] : std::get<Pickle::Dict>(*state).items) {
    const auto* name = std::get_if<std::string_view>(&pickle[key]);
    const auto* tensor = std::get_if<Pickle::Tensor>(&pickle[value]);
    if (name == nullptr || tensor == nullptr)
      throw Error(path.string(), "its state dict holds more than tensors");
    checkpoint.tensors[our_name(*name)] = file->tensor(*tensor, std::string(*name));
  }
  checkpoint.storage = file;
  checkpoint.files = {path};
}

// Weight norm (Salimans & Kingma 2016): row i of the weight is g[i] v[i] / |v[i]|.
std::vector<float> fold(const SourceTensor& g, const SourceTensor& v) {
  const std::vector<float> length = values_of(g);
  std::vector<float> weight = values_of(v);
  const size_t row = weight.size() / length.size();
  for (size_t i = 0; i < length.size(); ++i) {
    float* values = weight.data() + i * row;
    double squares = 0;
    for (size_t k = 0; k < row; ++k) squares += static_cast<double>(values[k]) * values[k];
    const double factor = squares > 0 ? length[i] / std::sqrt(squares) : 0;
    for (size_t k = 0; k < row; ++k) values[k] = static_cast<float>(values[k] * factor);
  }
  return weight;
}

// Replaces the two halves of `tensor`, as either of torch's weight norms names them.
void fold_weight_norm(HifiGanCheckpoint& checkpoint, const NamedShape& tensor,
                      uint64_t source_bytes) {
  const std::string name = kStage + tensor.name;
  const std::string module = name.substr(0, name.size() - std::string("weight").size());
  const std::pair<std::string, std::string> pairs[] = {
      {name + "_g", name + "_v"},
      {module + "parametrizations.weight.original0", module + "parametrizations.weight.original1"}};
  for (const auto& [g_name, v_name] : pairs) {
    const auto g = checkpoint.tensors.find(g_name);
    const auto v = checkpoint.tensors.find(v_name);
    if (g == checkpoint.tensors.end() || v == checkpoint.tensors.end()) continue;
    const nn::Shape rows = {tensor.shape[0], 1, 1};
    if (!(v->second->shape() == tensor.shape) || !(g->second->shape() == rows)) {
      throw Error(checkpoint.where, "tensors '" + g_name + "' and '" + v_name +
                                        "' do not make a weight of shape " + tensor.shape.str());
    }
    if (static_cast<uint64_t>(tensor.shape.elements()) > source_bytes)
      throw Error(checkpoint.where, "is too small for the tensors that it claims to hold");
    auto weight = std::make_unique<ComputedTensor>(tensor.shape, fold(*g->second, *v->second));
    checkpoint.tensors.erase(g);
    checkpoint.tensors.erase(v_name);
    checkpoint.tensors[name] = std::move(weight);
  }
}

}  // namespace

bool is_hifigan(const fs::path& source) {
  const fs::path path = config_of(source);
  if (!fs::is_regular_file(path)) return false;
  const nlohmann::json config = read_json(path);
  const Fields fields(config, path.string());
  if (!fields.has("model_type")) return fields.has("upsample_rates");
  const nlohmann::json& type = fields.at("model_type");  // the second one since transformers 5
  return fs::is_directory(source) && (type == "hifigan" || type == "speecht5_hifigan");
}

HifiGanCheckpoint open_hifigan(const fs::path& source) {
  const fs::path config_path = config_of(source);
  const nlohmann::json config = read_json(config_path);
  const Fields fields(config, config_path.string());
  HifiGanCheckpoint checkpoint;
  checkpoint.dims = parse_hifigan_dims(config, config_path.string());
  if (fields.has("model_type")) {
    static_cast<Checkpoint&>(checkpoint) = open_hugging_face(source, our_name);
    checkpoint.mel = speecht5_mel(fields, checkpoint.dims);
    if (!checkpoint.dims.normalize_before) {  // then nobody looks at them
      checkpoint.tensors.erase(kStage + std::string("mean"));
      checkpoint.tensors.erase(kStage + std::string("scale"));
    }
  } else {
    const fs::path file = generator_file(source);
    checkpoint.where = file.string();
    checkpoint.format = "hifi-gan";
    checkpoint.mel = jik876_mel(fields, checkpoint.dims);
    read_generator(checkpoint, file);
  }
  uint64_t bytes = 0;
  for (const fs::path& file : checkpoint.files) bytes += fs::file_size(file);
  for (const NamedShape& tensor : hifigan_tensors(checkpoint.dims))
    if (tensor.shape.rank() == 3) fold_weight_norm(checkpoint, tensor, bytes);
  return checkpoint;
}

ModelManifest convert_hifigan(const std::filesystem::path& source, const FolderWriter& folder,
                              const ConvertOptions& options) {
  if (!options.tokenizer.empty())
    throw Error("--tokenizer", "a vocoder has no tokenizer", "leave the option out");
  const HifiGanCheckpoint checkpoint = open_hifigan(source);
  WeightsWriter weights(checkpoint, options);
  const auto tensors = weights.plan("vocoder", hifigan_tensors(checkpoint.dims));
  weights.check_all_taken();
  StageManifest stage = hifigan_manifest(checkpoint.dims, checkpoint.mel);
  stage.weights = weights.write("vocoder", tensors, folder.subfolder("vocoder"));
  write_json(folder.subfolder("vocoder"), "stage.json", to_json(stage));

  ModelManifest model;
  model.kind = "tts";
  model.stages = {"vocoder"};
  model.licence = checkpoint.licence;
  model.source = source_facts(checkpoint, source);
  return model;
}

}  // namespace parley::stage
