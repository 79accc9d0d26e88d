#include "parley/pipeline/stt/speech_model.h"

#include <thread>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/dsp/audio_reader.h"

namespace parley::pipeline {

namespace {

void check_fit(const SpeechModel& model) {
  const std::string where = model.files.path().string();
  if (model.encoder.n_mels() != model.log_mel.config().n_mels)
    throw Error(where, "the front end and the encoder disagree about mel bands");
  if (model.encoder.d_model() != model.decoder.d_model())
    throw Error(where, "the encoder and the decoder disagree about d_model");
  if (model.encoder.frames() * model.log_mel.config().hop_length != 30 * dsp::kSampleRate) {
    throw Error(where, "its windows are not 30 s");
  }
  if (model.tokenizer.size() > model.decoder.vocab_size()) {
    throw Error(where, "the tokenizer has " + std::to_string(model.tokenizer.size()) +
                           " tokens, the decoder only " +
                           std::to_string(model.decoder.vocab_size()));
  }
  if (model.tokenizer.special().timestamp_begin + text::kTimestampTokens >
      model.decoder.vocab_size()) {
    throw Error(where, "the decoder's vocabulary has no room for the timestamps");
  }
}

template <class Loaded>
Loaded load_stage(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team,
                  const std::optional<stage::PackedCache>& cache) {
  if (!cache) return Loaded(stage, precision, team);
  stage::PackedStage packed = cache->open(stage, precision);
  Loaded loaded(stage, precision, nn::Packing(team, &packed));
  cache->close(packed);
  return loaded;
}

}  // namespace

dsp::LogMel front_end(const stage::Model& model) {
  const stage::Stage& stage = model.stage("frontend");
  stage.require_kind("log_mel");
  const int rate = static_cast<int>(stage.config_int("sample_rate", 1, 1 << 20));
  if (rate != dsp::kSampleRate)
    throw Error(model.path().string(),
                "its front end wants " + std::to_string(rate) + " Hz; only 16000 is known");
  return dsp::LogMel({.sample_rate = rate,
                      .n_fft = static_cast<int>(stage.config_int("n_fft", 2, 1 << 16)),
                      .hop_length = static_cast<int>(stage.config_int("hop_length", 1, 1 << 16)),
                      .n_mels = static_cast<int>(stage.config_int("n_mels", 1, 1024)),
                      .f_min = static_cast<float>(stage.config_number("f_min", 0, 1e6)),
                      .f_max = static_cast<float>(stage.config_number("f_max", 0, 1e6))});
}

std::shared_ptr<const SpeechModel> SpeechModel::load(
    const std::filesystem::path& folder, nn::Precision precision, int threads,
    const std::optional<stage::PackedCache>& cache) {
  nn::ThreadTeam team(threads);
  stage::Model files = stage::Model::open(folder);
  if (files.kind() != "stt")
    throw Error(folder.string(),
                "is a model of kind '" + files.kind() + "', not speech to text (stt)");
  const stage::Stage& encoder_stage = files.stage("encoder");
  const stage::Stage& decoder_stage = files.stage("decoder");
  dsp::LogMel log_mel = front_end(files);

  // The tokenizer is read while the weights are packed.
  constexpr size_t kMaxTokenizer = size_t{256} << 20;
  std::optional<text::Tokenizer> tokenizer;
  std::exception_ptr error;
  std::jthread reader([&] {
    try {
      const std::filesystem::path path = files.file("tokenizer.json");
      tokenizer.emplace(text::Tokenizer::from_json(read_file(path, kMaxTokenizer), path.string()));
    } catch (...) {
      error = std::current_exception();
    }
  });
  auto encoder = load_stage<encoder::WhisperEncoder>(encoder_stage, precision, team, cache);
  auto decoder = load_stage<decoder::WhisperDecoder>(decoder_stage, precision, team, cache);
  reader.join();
  if (error) std::rethrow_exception(error);

  const bool multilingual =
      decoder_stage.config_bool("is_multilingual") && !tokenizer->special().languages.empty();
  auto model = std::make_shared<SpeechModel>(SpeechModel{.files = std::move(files),
                                                         .precision = precision,
                                                         .log_mel = std::move(log_mel),
                                                         .encoder = std::move(encoder),
                                                         .decoder = std::move(decoder),
                                                         .tokenizer = std::move(*tokenizer),
                                                         .multilingual = multilingual});
  check_fit(*model);
  return model;
}

std::shared_ptr<const decoder::CrossState> listen(nn::Context& ctx, const SpeechModel& model,
                                                  std::span<const float> mel) {
  const encoder::WhisperEncoder& encoder = model.encoder;
  const nn::Scope scope(ctx);
  const nn::Tensor in(const_cast<float*>(mel.data()), {encoder.frames(), encoder.n_mels()},
                      nn::DType::kF32);
  const nn::Tensor features = ctx.allocate({encoder.positions(), encoder.d_model()});
  encoder.run(ctx, in, features);
  return model.decoder.listen(ctx, features);
}

}  // namespace parley::pipeline
