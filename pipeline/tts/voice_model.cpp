#include "parley/pipeline/tts/voice_model.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/model/voices.h"
#include "parley/pipeline/tts/synthesizer.h"

namespace parley::pipeline {

namespace {

constexpr size_t kMaxSentencePiece = size_t{16} << 20;

stage::Model open_voice(const std::filesystem::path& folder) {
  stage::Model files = stage::Model::open(folder);
  if (files.kind() != "tts") {
    throw Error(folder.string(),
                "is a model of kind '" + files.kind() + "', not text to speech (tts)");
  }
  const auto require = [&](const char* name, const char* advice) {
    if (!files.has_stage(name))
      throw Error(folder.string(), std::string("the model has no stage '") + name + "'", advice);
  };
  require("text_encoder", "");
  require("mel_decoder", "");
  require("voices", "add some: parley convert MODEL -o NEW --voices XVECTORS");
  files.stage("text_encoder").require_kind(stage::kTextEncoderKind);
  files.stage("mel_decoder").require_kind(stage::kMelDecoderKind);
  files.stage("voices").require_kind(stage::kVoicesKind);
  if (files.has_stage("vocoder")) {
    files.stage("vocoder").require_kind(stage::kHifiGanKind);
    stage::require_same_mel(files.stage("mel_decoder"), files.stage("vocoder"));
  }
  return files;
}

std::variant<vocoder::HifiGan, vocoder::GriffinLim> load_vocoder(const stage::Model& files,
                                                                 const stage::MelContract& mel,
                                                                 nn::Precision precision,
                                                                 nn::ThreadTeam& team) {
  if (!files.has_stage("vocoder")) return vocoder::GriffinLim(mel);
  return vocoder::HifiGan(files.stage("vocoder"), precision, team);
}

void check_fit(const VoiceModel& model) {
  const std::string where = model.files.path().string();
  if (model.encoder.d_model() != model.decoder.d_model())
    throw Error(where, "the text encoder and the mel decoder disagree about hidden_size");
  if (model.pieces.size() > model.encoder.vocab_size()) {
    throw Error(where, "the tokenizer has " + std::to_string(model.pieces.size()) +
                           " pieces, the text encoder only " +
                           std::to_string(model.encoder.vocab_size()));
  }
  if (model.decoder.n_mels() != model.mel.n_mels)
    throw Error(where, "the mel decoder makes frames of another size than its mel says");
  const int64_t voice_size = stage::voice_size(model.files.stage("voices"));
  if (voice_size != model.decoder.speaker_size()) {
    throw Error(where,
                "its voices are vectors of " + std::to_string(voice_size) +
                    " numbers; the mel decoder takes " +
                    std::to_string(model.decoder.speaker_size()),
                "exchange them: parley convert MODEL -o NEW --voices XVECTORS");
  }
}

}  // namespace

std::vector<int32_t> VoiceModel::tokens_of(const std::string& spoken) const {
  std::vector<int32_t> tokens = pieces.encode(spoken);
  tokens.push_back(pieces.eos());
  return tokens;
}

std::shared_ptr<const VoiceModel> VoiceModel::load(const std::filesystem::path& folder,
                                                   nn::Precision precision, int threads) {
  nn::ThreadTeam team(threads);
  stage::Model files = open_voice(folder);
  // The rules of spoken text are made while the weights are packed.
  std::optional<text::EnglishSpokenForm> spoken_form;
  std::exception_ptr error;
  std::jthread maker([&] {
    try {
      spoken_form.emplace();
    } catch (...) {
      error = std::current_exception();
    }
  });
  const std::filesystem::path pieces = files.file(stage::kSentencePieceFile);
  text::SentencePiece tokenizer =
      text::SentencePiece::from_bytes(read_file(pieces, kMaxSentencePiece), pieces.string());
  encoder::SpeechT5TextEncoder encoder(files.stage("text_encoder"), precision, team);
  decoder::SpeechT5MelDecoder decoder(files.stage("mel_decoder"), precision, team);
  decoder::Postnet postnet(files.stage("mel_decoder"), precision, team);
  const stage::MelContract mel = stage::mel_contract(files.stage("mel_decoder"));
  auto vocoder = load_vocoder(files, mel, precision, team);
  maker.join();
  if (error) std::rethrow_exception(error);
  auto model = std::make_shared<VoiceModel>(VoiceModel{.files = std::move(files),
                                                       .precision = precision,
                                                       .mel = mel,
                                                       .pieces = std::move(tokenizer),
                                                       .spoken_form = std::move(*spoken_form),
                                                       .encoder = std::move(encoder),
                                                       .decoder = std::move(decoder),
                                                       .postnet = std::move(postnet),
                                                       .vocoder = std::move(vocoder)});
  check_fit(*model);
  return model;
}

std::vector<std::string> list_voices(const std::filesystem::path& folder) {
  const stage::Model files = open_voice(folder);
  const stage::Stage& stage = files.stage("voices");
  std::vector<std::string> names = stage::voice_names(stage);
  const auto preset = std::find(names.begin(), names.end(), stage::default_voice(stage));
  if (preset != names.end()) std::rotate(names.begin(), preset, preset + 1);
  return names;
}

}  // namespace parley::pipeline
