#include "parley/pipeline/evaluation/stage_runs.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/hifigan.h"
#include "parley/core/model/silero_vad.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/model/voices.h"
#include "parley/core/model/whisper.h"
#include "parley/decoder/dropout.h"
#include "parley/decoder/postnet.h"
#include "parley/decoder/speecht5_mel.h"
#include "parley/decoder/whisper.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/silero_vad.h"
#include "parley/encoder/speecht5_text.h"
#include "parley/encoder/whisper.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/vad_model.h"
#include "parley/text/tokenizer/sentence_piece.h"
#include "parley/vocoder/hifigan.h"

namespace parley::pipeline {

namespace {

using nn::DType;
using nn::Shape;
using nn::Tensor;

constexpr int64_t kTokens = 32;  // that a decoder goes on with by itself
constexpr int64_t kSteps = 48;   // of a mel decoder
constexpr int64_t kFrames = 96;  // of a made-up mel
constexpr size_t kMaxTokenizer = size_t{256} << 20;
constexpr const char* kSentence = "the quick brown fox jumps over the lazy dog.";

// Uniform in [-1, 1], always the same: a linear congruential generator's upper bits.
class Noise {
 public:
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(state_ >> 8) / static_cast<float>(1 << 23) - 1;
  }

 private:
  uint32_t state_ = 1;
};

// Five seconds of noise whose loudness rises and falls four times a second.
std::vector<float> noise_samples() {
  std::vector<float> samples(size_t{5} * dsp::kSampleRate);
  Noise noise;
  for (size_t i = 0; i < samples.size(); ++i) {
    const auto t = static_cast<double>(i) / dsp::kSampleRate;
    samples[i] = static_cast<float>(0.3 * std::pow(std::sin(4 * M_PI * t), 2)) * noise.next();
  }
  return samples;
}

std::vector<int32_t> ids_of(const StageTensor& tensor) {
  std::vector<int32_t> ids;
  for (const float value : tensor.values) {
    if (!(value >= 0 && value < (1 << 24))) throw Error(tensor.name, "holds what is no token");
    ids.push_back(static_cast<int32_t>(value));
  }
  return ids;
}

// Takes down what the layers leave.
class LayerNotes : public nn::Observer {
 public:
  explicit LayerNotes(StageTensors& out) : out_(out) {}
  void layer(const std::string& name, const Tensor& x) override {
    out_.append(name, x, TensorRole::kLayer);
  }
  void operation(const nn::Operation&, double) override {}

 private:
  StageTensors& out_;
};

class StageRun {
 public:
  StageRun(const stage::Model& model, const StageTensors& given, const StageRunOptions& options)
      : model_(model),
        given_(given),
        options_(options),
        ctx_({.threads = options.threads, .stop = options.stop}),
        notes_(out_) {}

  StageTensors run() {
    for (const stage::Stage& stage : model_.stages()) {
      const std::string& kind = stage.kind();
      if (kind == "log_mel") frontend();
      if (kind == stage::kWhisperEncoderKind) speech_encoder(stage);
      if (kind == stage::kWhisperDecoderKind) token_decoder(stage);
      if (kind == stage::kTextEncoderKind) text_encoder(stage);
      if (kind == stage::kMelDecoderKind) mel_decoder(stage);
      if (kind == stage::kHifiGanKind) vocoder(stage);
      if (kind == stage::kSileroVadKind) voice_detector();
    }
    if (out_.all().empty())
      throw Error(model_.path().string(), "has no stage that computes anything");
    return std::move(out_);
  }

 private:
  // While it lives, layers are taken down.
  class Watch {
   public:
    explicit Watch(StageRun& run) : ctx_(run.ctx_) {
      if (run.options_.layers) ctx_.set_observer(&run.notes_);
    }
    ~Watch() { ctx_.set_observer(nullptr); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    nn::Context& ctx_;
  };

  void frontend();
  void speech_encoder(const stage::Stage& stage);
  void token_decoder(const stage::Stage& stage);
  std::vector<int32_t> likeliest_tokens(const decoder::WhisperDecoder& decoder,
                                        std::shared_ptr<const decoder::CrossState> cross,
                                        bool multilingual);
  void text_encoder(const stage::Stage& stage);
  void mel_decoder(const stage::Stage& stage);
  void speak_frames(const decoder::SpeechT5MelDecoder& decoder);
  void refine_frames(const stage::Stage& stage);
  void vocoder(const stage::Stage& stage);
  void voice_detector();

  // A tensor that is given, else made by a stage before; or null.
  const StageTensor* known(const std::string& name) const {
    const StageTensor* tensor = given_.find(name);
    return tensor != nullptr ? tensor : out_.find(name);
  }
  // The same for an input; `make` makes one up.
  template <class Make>
  const StageTensor& input(const std::string& name, const Make& make) {
    if (known(name) == nullptr) out_.set(StageTensor(make()));
    const StageTensor& found = *known(name);
    if (out_.find(name) == nullptr) {
      out_.set({found.name, found.shape, found.values, TensorRole::kInput});
    }
    return found;
  }
  void output(const std::string& name, const Tensor& tensor) {
    StageTensor made{.name = name, .shape = tensor.shape, .values = {}};
    made.values.assign(tensor.f32(), tensor.f32() + tensor.shape.elements());
    out_.set(std::move(made));
  }
  // Throws Error unless the tensor has rows of `columns`.
  static void require_columns(const StageTensor& tensor, int64_t columns) {
    if (tensor.shape.rank() != 2 || tensor.shape[1] != columns || tensor.shape[0] < 1) {
      throw Error(tensor.name, "is " + tensor.shape.str() + "; the model has " +
                                   std::to_string(columns) + " columns there");
    }
  }
  static StageTensor made_up(const std::string& name, const Shape& shape,
                             std::vector<float> values) {
    return {.name = name, .shape = shape, .values = std::move(values), .role = TensorRole::kInput};
  }

  const stage::Model& model_;
  const StageTensors& given_;
  const StageRunOptions& options_;
  nn::Context ctx_;
  StageTensors out_;
  LayerNotes notes_;
};

void StageRun::frontend() {
  // A golden mel without its samples is the encoder's input, and nothing is said about this stage.
  if (given_.find("frontend.mel") != nullptr && given_.find("frontend.samples") == nullptr) return;
  const StageTensor& samples = input("frontend.samples", [] {
    std::vector<float> noise = noise_samples();
    const auto count = static_cast<int64_t>(noise.size());
    return made_up("frontend.samples", {count}, std::move(noise));
  });
  const dsp::LogMel log_mel = front_end(model_);
  const int64_t frames = 30 * log_mel.config().sample_rate / log_mel.config().hop_length;
  const size_t longest = size_t{30} * static_cast<size_t>(log_mel.config().sample_rate);
  const nn::Scope scope(ctx_);
  const Tensor mel = ctx_.allocate({frames, log_mel.config().n_mels});
  log_mel.window(std::span(samples.values).first(std::min(longest, samples.values.size())), mel);
  output("frontend.mel", mel);
}

void StageRun::speech_encoder(const stage::Stage& stage) {
  const encoder::WhisperEncoder encoder(stage, options_.precision, ctx_.team());
  const StageTensor* mel = known("frontend.mel");
  if (mel == nullptr) throw Error(model_.path().string(), "has no front end for its encoder");
  require_columns(*mel, encoder.n_mels());
  const int64_t frames = mel->shape[0];
  if (frames < 1 || frames > encoder.frames()) {
    throw Error(mel->name, "has " + std::to_string(frames) + " frames; the model takes " +
                               std::to_string(encoder.frames()));
  }
  // Silence to the end is not always stored: the last frame goes on.
  std::vector<float> window = mel->values;
  window.reserve(static_cast<size_t>(encoder.frames() * encoder.n_mels()));
  while (static_cast<int64_t>(window.size()) < encoder.frames() * encoder.n_mels())
    window.push_back(window[window.size() - static_cast<size_t>(encoder.n_mels())]);
  const nn::Scope scope(ctx_);
  const Tensor features = ctx_.allocate({encoder.positions(), encoder.d_model()});
  const Watch watch(*this);
  encoder.run(ctx_, Tensor(window.data(), {encoder.frames(), encoder.n_mels()}, DType::kF32),
              features);
  output("encoder.features", features);
}

void StageRun::token_decoder(const stage::Stage& stage) {
  const decoder::WhisperDecoder decoder(stage, options_.precision, ctx_.team());
  // Every n-th row is enough to compare with, not to listen to.
  const StageTensor* made = out_.find("encoder.features");
  const StageTensor* features = given_.find("encoder.features");
  if (features == nullptr || (made != nullptr && features->shape[0] != made->shape[0]))
    features = made;
  if (features == nullptr) throw Error(model_.path().string(), "has no encoder for its decoder");
  require_columns(*features, decoder.d_model());
  const auto cross = decoder.listen(ctx_, features->view());
  const StageTensor& tokens = input("decoder.tokens", [&] {
    const std::vector<int32_t> ids =
        likeliest_tokens(decoder, cross, stage.config_bool("is_multilingual"));
    return made_up("decoder.tokens", {static_cast<int64_t>(ids.size())},
                   std::vector<float>(ids.begin(), ids.end()));
  });
  decoder::KvState state(decoder.cache_shape(), 1);
  state.reset(0, cross);
  std::vector<decoder::Row> rows;
  for (const int32_t id : ids_of(tokens)) rows.push_back({0, id});
  const nn::Scope scope(ctx_);
  const Watch watch(*this);
  output("decoder.logits", decoder.step(ctx_, state, rows));
}

// The start of a transcript in English without timestamps, and the likeliest tokens of text after
// it.
std::vector<int32_t> StageRun::likeliest_tokens(const decoder::WhisperDecoder& decoder,
                                                std::shared_ptr<const decoder::CrossState> cross,
                                                bool multilingual) {
  const std::filesystem::path path = model_.file("tokenizer.json");
  const text::SpecialTokens special =
      text::Tokenizer::from_json(read_file(path, kMaxTokenizer), path.string()).special();
  std::vector<int32_t> tokens = {special.sot};
  if (multilingual && !special.languages.empty()) {
    tokens.push_back(special.languages.front().id);
    tokens.push_back(special.transcribe);
  }
  tokens.push_back(special.no_timestamps);
  decoder::KvState state(decoder.cache_shape(), 1);
  state.reset(0, std::move(cross));
  std::vector<decoder::Row> rows;
  for (const int32_t token : tokens) rows.push_back({0, token});
  for (int64_t i = 0; i < kTokens; ++i) {
    const nn::Scope scope(ctx_);
    const Tensor logits = decoder.step(ctx_, state, rows);
    const nn::Peak best = nn::peak(
        {logits.row(logits.rows() - 1), static_cast<size_t>(std::max<int32_t>(1, special.eot))});
    tokens.push_back(static_cast<int32_t>(best.index));
    rows = {{0, tokens.back()}};
  }
  return tokens;
}

void StageRun::text_encoder(const stage::Stage& stage) {
  const encoder::SpeechT5TextEncoder encoder(stage, options_.precision, ctx_.team());
  const StageTensor& tokens = input("text_encoder.tokens", [&] {
    const std::filesystem::path path = model_.file(stage::kSentencePieceFile);
    const auto pieces =
        text::SentencePiece::from_bytes(read_file(path, kMaxTokenizer), path.string());
    std::vector<int32_t> ids = pieces.encode(kSentence);
    ids.resize(std::min(ids.size(), static_cast<size_t>(encoder.max_tokens() - 1)));
    ids.push_back(pieces.eos());
    return made_up("text_encoder.tokens", {static_cast<int64_t>(ids.size())},
                   std::vector<float>(ids.begin(), ids.end()));
  });
  const nn::Scope scope(ctx_);
  const Watch watch(*this);
  output("text_encoder.features", encoder.run(ctx_, ids_of(tokens)));
}

void StageRun::mel_decoder(const stage::Stage& stage) {
  speak_frames(decoder::SpeechT5MelDecoder(stage, options_.precision, ctx_.team()));
  refine_frames(stage);
}

// Step by step; each is given the last frame of what was expected of the step before.
void StageRun::speak_frames(const decoder::SpeechT5MelDecoder& decoder) {
  const StageTensor* features = known("text_encoder.features");
  if (features == nullptr)
    throw Error(model_.path().string(), "has no text encoder for its mel decoder");
  require_columns(*features, decoder.d_model());
  const StageTensor& vector = input("mel_decoder.speaker", [&] {
    std::vector<float> voice(static_cast<size_t>(decoder.speaker_size()), 1.f);
    if (model_.has_stage("voices")) {
      const stage::Stage& voices = model_.stage("voices");
      voice = stage::voice_vector(voices, stage::default_voice(voices));
    }
    return made_up("mel_decoder.speaker", {decoder.speaker_size()}, std::move(voice));
  });
  const int64_t units = decoder.kept_size();
  const StageTensor& kept = input("mel_decoder.kept", [&] {
    const int64_t steps = std::min(kSteps, decoder.cache_shape().max_positions);
    std::vector<uint8_t> drawn(static_cast<size_t>(units));
    std::vector<float> all;
    for (int64_t step = 0; step < steps; ++step) {
      decoder::draw_kept({}, static_cast<uint32_t>(step), decoder.dropout(), drawn);
      all.insert(all.end(), drawn.begin(), drawn.end());
    }
    return made_up("mel_decoder.kept", {steps, units}, std::move(all));
  });
  const int64_t count = kept.shape.elements() / std::max<int64_t>(1, units);
  if (kept.shape.rank() < 2 || kept.shape[0] != count || count * units != kept.shape.elements() ||
      count < 1)
    throw Error(kept.name, "is not [steps, " + std::to_string(units) + "]");
  const int64_t per_step = decoder.frames_per_step() * decoder.n_mels();
  const StageTensor* expected = given_.find("mel_decoder.frames");
  if (expected != nullptr &&
      static_cast<int64_t>(expected->values.size()) < (count - 1) * per_step) {
    throw Error(expected->name, "has fewer frames than mel_decoder.kept has steps");
  }

  const std::vector<float> speaker = decoder.speaker(ctx_, vector.values);
  decoder::KvState state(decoder.cache_shape(), 1);
  state.reset(0, decoder.listen(ctx_, features->view()));
  std::vector<float> frames;
  std::vector<float> stops;
  std::vector<float> last(static_cast<size_t>(decoder.n_mels()), 0.f);
  const Watch watch(*this);
  for (int64_t step = 0; step < count; ++step) {
    const nn::Scope scope(ctx_);
    std::vector<uint8_t> mask(static_cast<size_t>(units));
    std::transform(mask.begin(), mask.end(), kept.values.begin() + step * units, mask.begin(),
                   [](uint8_t, float value) { return static_cast<uint8_t>(value != 0); });
    const decoder::MelRow row{
        .slot = 0, .frame = last.data(), .kept = mask.data(), .speaker = speaker.data()};
    const decoder::SpeechT5MelDecoder::Step made = decoder.step(ctx_, state, std::span(&row, 1));
    frames.insert(frames.end(), made.frames.f32(), made.frames.f32() + per_step);
    stops.push_back(made.stop.f32()[0]);
    const std::vector<float>& before = expected != nullptr ? expected->values : frames;
    if (step + 1 < count)
      std::copy_n(before.begin() + (step + 1) * per_step - decoder.n_mels(), decoder.n_mels(),
                  last.begin());
  }
  output("mel_decoder.frames",
         {frames.data(), {count * decoder.frames_per_step(), decoder.n_mels()}, DType::kF32});
  output("mel_decoder.stop", {stops.data(), {count}, DType::kF32});
}

void StageRun::refine_frames(const stage::Stage& stage) {
  const decoder::Postnet postnet(stage, options_.precision, ctx_.team());
  const StageTensor& frames = *known("mel_decoder.frames");
  require_columns(frames, postnet.n_mels());
  const int64_t count = frames.shape[0];
  const nn::Scope scope(ctx_);
  const Watch watch(*this);
  output("mel_decoder.mel",
         postnet.run(ctx_, frames.view(), /*first=*/0, /*begin=*/0, count, /*total=*/count));
}

void StageRun::vocoder(const stage::Stage& stage) {
  const vocoder::HifiGan vocoder(stage, options_.precision, ctx_.team());
  const StageTensor& mel = input("mel_decoder.mel", [&] {
    std::vector<float> bands(static_cast<size_t>(kFrames * vocoder.n_mels()));
    Noise noise;
    std::generate(bands.begin(), bands.end(), [&] { return -2 + noise.next(); });
    return made_up("mel_decoder.mel", {kFrames, vocoder.n_mels()}, std::move(bands));
  });
  require_columns(mel, vocoder.n_mels());
  const Watch watch(*this);
  std::vector<float> samples = vocoder::synthesize(ctx_, vocoder, mel.view());
  output("vocoder.samples", {samples.data(), {static_cast<int64_t>(samples.size())}, DType::kF32});
}

void StageRun::voice_detector() {
  dsp::SileroVad detector(load_vad_model(model_.path()));
  constexpr size_t kFrame = dsp::SileroVad::kFrame;
  const StageTensor& samples = input("vad.samples", [] {
    std::vector<float> noise = noise_samples();
    noise.resize(noise.size() / kFrame * kFrame);
    const auto count = static_cast<int64_t>(noise.size());
    return made_up("vad.samples", {count}, std::move(noise));
  });
  std::vector<float> probabilities;
  for (size_t at = 0; at + kFrame <= samples.values.size(); at += kFrame) {
    ctx_.throw_if_stopped();
    probabilities.push_back(
        detector.process(std::span<const float, kFrame>(samples.values.data() + at, kFrame)));
  }
  output("vad.probabilities",
         {probabilities.data(), {static_cast<int64_t>(probabilities.size())}, DType::kF32});
}

}  // namespace

StageTensors run_stages(const stage::Model& model, const StageTensors& given,
                        const StageRunOptions& options) {
  return StageRun(model, given, options).run();
}

}  // namespace parley::pipeline
