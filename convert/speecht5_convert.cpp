#include "parley/convert/speecht5_convert.h"

#include <cmath>
#include <cstring>

#include "parley/convert/hugging_face.h"
#include "parley/convert/weights_writer.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/model/mel_contract.h"
#include "parley/core/model/speecht5.h"
#include "parley/text/tokenizer/sentence_piece.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSentencePiece = size_t{16} << 20;
constexpr int64_t kMaxPostnetElements = int64_t{1}
                                        << 24;  // of one convolution, 12 times SpeechT5's

// The tensor `name` of the checkpoint, taken out of it.
std::vector<float> take(Checkpoint& checkpoint, const std::string& name, const nn::Shape& shape) {
  const auto found = checkpoint.tensors.find(name);
  if (found == checkpoint.tensors.end())
    throw Error(checkpoint.where, "lacks the tensor '" + name + "'");
  if (!(found->second->shape() == shape)) {
    throw Error(checkpoint.where, "tensor '" + name + "' has shape " +
                                      found->second->shape().str() + ", the configuration says " +
                                      shape.str());
  }
  std::vector<float> values = values_of(*found->second);
  checkpoint.tensors.erase(found);
  return values;
}

// conv without bias, then gamma (y - mean) / sqrt(var + eps) + beta, becomes one convolution with a
// bias.
void fold_batch_norm(Checkpoint& checkpoint, const std::string& layer, const nn::Shape& shape) {
  constexpr double kEpsilon = 1e-5;  // torch.nn.BatchNorm1d
  if (shape.elements() > kMaxPostnetElements)
    throw Error(checkpoint.where, "its postnet is too large");
  const int64_t outputs = shape[0];
  std::vector<float> weight = take(checkpoint, layer + "conv.weight", shape);
  const auto norm = [&](const char* name) {
    return take(checkpoint, layer + "batch_norm." + name, {outputs});
  };
  const std::vector<float> gamma = norm("weight");
  std::vector<float> bias = norm("bias");
  const std::vector<float> mean = norm("running_mean");
  const std::vector<float> variance = norm("running_var");
  const auto inputs = static_cast<size_t>(shape.elements() / outputs);
  for (size_t n = 0; n < bias.size(); ++n) {
    const double scale = gamma[n] / std::sqrt(static_cast<double>(variance[n]) + kEpsilon);
    for (size_t k = 0; k < inputs; ++k)
      weight[n * inputs + k] = static_cast<float>(weight[n * inputs + k] * scale);
    bias[n] = static_cast<float>(bias[n] - mean[n] * scale);
  }
  const auto put = [&](const std::string& name, const nn::Shape& size, std::vector<float> values) {
    checkpoint.tensors[layer + name] = std::make_unique<ComputedTensor>(size, std::move(values));
  };
  put("conv.weight", shape, std::move(weight));
  put("conv.bias", {outputs}, std::move(bias));
}

void fold_postnet(Checkpoint& checkpoint, const SpeechT5Dims& dims) {
  for (const NamedShape& tensor : mel_decoder_tensors(dims)) {
    constexpr std::string_view kConv = "conv.weight";
    if (!tensor.name.starts_with("postnet.") || !tensor.name.ends_with(kConv)) continue;
    const std::string layer = tensor.name.substr(0, tensor.name.size() - kConv.size());
    fold_batch_norm(checkpoint, "mel_decoder." + layer, tensor.shape);
  }
}

// The mel that the model was trained on: preprocessor_config.json, else SpeechT5's own.
MelContract mel_of(const fs::path& folder, const SpeechT5Dims& dims) {
  MelContract mel;
  mel.n_mels = dims.num_mel_bins;
  const fs::path path = folder / "preprocessor_config.json";
  if (!fs::is_regular_file(path)) return mel;
  const nlohmann::json config = read_json(path);
  const Fields fields(config, path.string());
  const auto integer = [&](const char* key, int64_t& value, int64_t max) {
    if (fields.has(key)) value = fields.integer(key, 1, max);
  };
  integer("sampling_rate", mel.sample_rate, 1 << 20);
  int64_t hop_ms = mel.hop_length * 1000 / 16000;
  int64_t win_ms = mel.win_length * 1000 / 16000;
  integer("hop_length", hop_ms, 1000);
  integer("win_length", win_ms, 1000);
  mel.hop_length = mel.sample_rate * hop_ms / 1000;
  mel.win_length = mel.sample_rate * win_ms / 1000;
  for (mel.n_fft = 1; mel.n_fft < mel.win_length;) mel.n_fft *= 2;
  if (fields.has("num_mel_bins")) fields.integer("num_mel_bins", mel.n_mels, mel.n_mels);
  if (fields.has("fmin")) mel.f_min = fields.number("fmin", 0, 1e6);
  if (fields.has("fmax")) mel.f_max = fields.number("fmax", 0, 1e6);
  if (fields.has("mel_floor")) mel.log_floor = fields.number("mel_floor", 1e-30, 1);
  if (fields.has("do_normalize") && fields.boolean("do_normalize"))
    fields.refuse("do_normalize", "must be false");
  return parse_mel_contract(to_json(mel), path.string());  // as strict as whoever reads it
}

FileDigest write_tokenizer(const fs::path& source, const FolderWriter& folder,
                           const ConvertOptions& options, const SpeechT5Dims& dims) {
  fs::path path = options.tokenizer.empty() ? source : options.tokenizer;
  if (fs::is_directory(path)) path /= kSentencePieceFile;
  const std::string model = read_file(path, kMaxSentencePiece);
  const auto pieces = text::SentencePiece::from_bytes(model, path.string());
  if (pieces.size() > dims.vocab_size) {
    throw Error(path.string(), "has " + std::to_string(pieces.size()) + " pieces, the model only " +
                                   std::to_string(dims.vocab_size));
  }
  return write_text(folder.path(), kSentencePieceFile, model);
}

}  // namespace

ModelManifest convert_speecht5(const fs::path& source, const FolderWriter& folder,
                               const ConvertOptions& options) {
  const fs::path config_path = source / "config.json";
  const SpeechT5Dims dims = parse_speecht5_config(read_json(config_path), config_path.string());
  const MelContract mel = mel_of(source, dims);
  const fs::path generation_path = source / "generation_config.json";
  const nlohmann::json generation =
      fs::is_regular_file(generation_path) ? read_json(generation_path) : nlohmann::json::object();
  Checkpoint checkpoint = open_hugging_face(source, name_from_speecht5);
  fold_postnet(checkpoint, dims);
  WeightsWriter weights(checkpoint, options);
  const auto encoder_tensors = weights.plan("text_encoder", text_encoder_tensors(dims));
  const auto decoder_tensors = weights.plan("mel_decoder", mel_decoder_tensors(dims));
  weights.check_all_taken();

  StageManifest encoder = text_encoder_manifest(dims);
  StageManifest decoder =
      mel_decoder_manifest(dims, mel, Fields(generation, generation_path.string()));
  ModelManifest model;
  model.kind = "tts";
  model.stages = {"text_encoder", "mel_decoder"};
  model.files = {write_tokenizer(source, folder, options, dims)};
  model.licence = checkpoint.licence;
  model.source = source_facts(checkpoint, source);
  encoder.weights =
      weights.write("text_encoder", encoder_tensors, folder.subfolder("text_encoder"));
  decoder.weights = weights.write("mel_decoder", decoder_tensors, folder.subfolder("mel_decoder"));
  write_json(folder.subfolder("text_encoder"), "stage.json", to_json(encoder));
  write_json(folder.subfolder("mel_decoder"), "stage.json", to_json(decoder));
  return model;
}

std::optional<std::string> name_from_speecht5(std::string_view theirs) {
  if (theirs.ends_with(".encode_positions.pe") || theirs.ends_with(".num_batches_tracked"))
    return std::nullopt;
  static constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {
      {"speecht5.encoder.prenet.", "text_encoder."},
      {"speecht5.encoder.wrapped_encoder.", "text_encoder."},
      {"speecht5.decoder.prenet.", "mel_decoder.prenet."},
      {"speecht5.decoder.wrapped_decoder.", "mel_decoder."},
      {"speech_decoder_postnet.layers.", "mel_decoder.postnet.layers."},
      {"speech_decoder_postnet.", "mel_decoder."},
  };
  for (const auto& [prefix, ours] : kPrefixes) {
    if (theirs.starts_with(prefix))
      return std::string(ours) + std::string(theirs.substr(prefix.size()));
  }
  return std::string(theirs);  // unknown: check_all_taken() will name it
}

}  // namespace parley::stage
