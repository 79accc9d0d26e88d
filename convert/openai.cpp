#include "parley/convert/openai.h"

#include "parley/convert/whisper_names.h"
#include "parley/core/base/error.h"

namespace parley::stage {

namespace {

const Pickle::Value& require_dict(const Pickle& pickle, const Pickle::Value& parent,
                                  const char* key, const std::string& where) {
  const Pickle::Value* value =
      std::holds_alternative<Pickle::Dict>(parent) ? pickle.find(parent, key) : nullptr;
  if (value == nullptr || !std::holds_alternative<Pickle::Dict>(*value)) {
    throw Error(where,
                std::string("has no '") + key + "': it is not a checkpoint of openai/whisper");
  }
  return *value;
}

WhisperDims read_dims(const Pickle& pickle, const std::string& where) {
  const Pickle::Value& dict = require_dict(pickle, pickle.root(), "dims", where);
  const auto get = [&](const char* name) {
    const Pickle::Value* value = pickle.find(dict, name);
    const auto* number = value == nullptr ? nullptr : std::get_if<int64_t>(value);
    if (number == nullptr) throw Error(where, std::string("dims has no number '") + name + "'");
    return *number;
  };
  WhisperDims dims;
  dims.num_mel_bins = get("n_mels");
  dims.vocab_size = get("n_vocab");
  dims.d_model = get("n_audio_state");
  dims.max_source_positions = get("n_audio_ctx");
  dims.encoder_attention_heads = get("n_audio_head");
  dims.encoder_layers = get("n_audio_layer");
  dims.max_target_positions = get("n_text_ctx");
  dims.decoder_attention_heads = get("n_text_head");
  dims.decoder_layers = get("n_text_layer");
  if (dims.d_model < 1 || dims.d_model > (1 << 14))
    throw Error(where, "n_audio_state is out of range");
  dims.encoder_ffn_dim = 4 * dims.d_model;
  dims.decoder_ffn_dim = 4 * dims.d_model;
  check_dims(dims, where);
  if (get("n_text_state") != dims.d_model)
    throw Error(where, "encoder and decoder differ in width");
  return dims;
}

}  // namespace

WhisperCheckpoint read_openai(std::shared_ptr<const TorchFile> file) {
  const Pickle& pickle = file->pickle();
  WhisperCheckpoint checkpoint;
  checkpoint.where = file->where();
  checkpoint.format = "openai";
  checkpoint.dims = read_dims(pickle, file->where());
  const Pickle::Value& state =
      require_dict(pickle, pickle.root(), "model_state_dict", file->where());
  for (const auto& [key, value] : std::get<Pickle::Dict>(state).items) {
    const auto* theirs = std::get_if<std::string_view>(&pickle[key]);
    const auto* tensor = std::get_if<Pickle::Tensor>(&pickle[value]);
    if (theirs == nullptr || tensor == nullptr)
      throw Error(file->where(), "model_state_dict holds more than tensors");
    const std::optional<std::string> name = name_from_openai(*theirs);
    if (!name)
      throw Error(file->where(), "tensor '" + std::string(*theirs) + "' is not one of Whisper");
    checkpoint.tensors[*name] = file->tensor(*tensor, std::string(*theirs));
  }
  checkpoint.storage = std::move(file);
  return checkpoint;
}

WhisperCheckpoint open_openai(const std::filesystem::path& path) {
  WhisperCheckpoint checkpoint = read_openai(std::make_shared<const TorchFile>(path));
  checkpoint.files = {path};
  return checkpoint;
}

}  // namespace parley::stage
