#include "stage/whisper_stages.h"

#include <algorithm>

#include "base/error.h"
#include "stage/json.h"

namespace parley::stage {

namespace {

// openai/whisper audio.py.
constexpr int64_t kSampleRate = 16000;
constexpr int64_t kNFft = 400;
constexpr int64_t kHopLength = 160;
constexpr int64_t kFramesPerPosition = 2;          // the second convolution's stride
constexpr int64_t kMaxInitialTimestampIndex = 50;  // 1.0 s
constexpr int64_t kMaxRows = 1 << 16;              // slots decoded together

std::vector<int32_t> default_suppress_tokens(const text::Tokenizer& tokenizer) {
  const text::SpecialTokens& special = tokenizer.special();
  std::vector<int32_t> tokens = tokenizer.non_speech_tokens();
  for (const int32_t id : {special.transcribe, special.translate, special.sot, special.sot_prev,
                           special.sot_lm, special.no_speech}) {
    if (id != text::kNoToken) tokens.push_back(id);
  }
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

std::vector<int32_t> default_begin_suppress_tokens(const text::Tokenizer& tokenizer) {
  std::vector<int32_t> tokens = tokenizer.encode(" ");
  tokens.push_back(tokenizer.special().eot);
  return tokens;
}

nlohmann::json checked_heads(const Fields& generation, const WhisperDims& dims) {
  for (const nlohmann::json& pair : generation.array("alignment_heads", size_t{1} << 14)) {
    int64_t layer = 0;
    int64_t head = 0;
    if (!pair.is_array() || pair.size() != 2 || !to_integer(pair[0], layer) ||
        !to_integer(pair[1], head) || layer < 0 || layer >= dims.decoder_layers || head < 0 ||
        head >= dims.decoder_attention_heads) {
      generation.refuse("alignment_heads", "must hold [layer, head] pairs of the decoder");
    }
  }
  return generation.at("alignment_heads");
}

}  // namespace

void check_preprocessor(const nlohmann::json& config, const WhisperDims& dims,
                        const std::string& where) {
  const Fields fields(config, where);
  const auto expect = [&](const char* key, int64_t value) {
    if (fields.has(key)) fields.integer(key, value, value);
  };
  expect("sampling_rate", kSampleRate);
  expect("n_fft", kNFft);
  expect("hop_length", kHopLength);
  expect("feature_size", dims.num_mel_bins);
}

nlohmann::json generation_facts(const nlohmann::json& generation, const WhisperDims& dims,
                                const text::Tokenizer& tokenizer, std::string_view sha256,
                                const std::string& where) {
  const Fields fields(generation, where);
  const auto tokens = [&](const char* key,
                          const std::vector<int32_t>& otherwise) -> nlohmann::json {
    if (fields.has(key)) return fields.integers(key, 0, dims.vocab_size - 1);
    return otherwise;
  };
  nlohmann::json facts;
  facts["suppress_tokens"] = tokens("suppress_tokens", default_suppress_tokens(tokenizer));
  facts["begin_suppress_tokens"] =
      tokens("begin_suppress_tokens", default_begin_suppress_tokens(tokenizer));
  facts["alignment_heads"] = fields.has("alignment_heads")
                                 ? checked_heads(fields, dims)
                                 : nlohmann::json(alignment_heads(dims, sha256));
  facts["max_initial_timestamp_index"] =
      fields.has("max_initial_timestamp_index")
          ? fields.integer("max_initial_timestamp_index", 0, text::kTimestampTokens)
          : kMaxInitialTimestampIndex;
  constexpr const char* kMaxPrompt = "max_prompt_tokens";
  if (fields.has(kMaxPrompt))
    facts[kMaxPrompt] = fields.integer(kMaxPrompt, 0, dims.max_target_positions / 2 - 1);
  facts["is_multilingual"] = fields.has("is_multilingual") ? fields.boolean("is_multilingual")
                                                           : tokenizer.special().multilingual;
  return facts;
}

StageManifest frontend_manifest(const WhisperDims& dims) {
  const int64_t frames = kFramesPerPosition * dims.max_source_positions;
  StageManifest stage;
  stage.kind = kLogMelKind;
  stage.inputs = {{"samples", {{1, frames * kHopLength}}, nn::DType::kF32}};
  stage.outputs = {{"mel", {dims.num_mel_bins, frames}, nn::DType::kF32}};
  stage.config = {
      {"sample_rate", kSampleRate}, {"n_fft", kNFft},
      {"hop_length", kHopLength},   {"n_mels", dims.num_mel_bins},
      {"window", "hann_periodic"},  {"f_min", 0},
      {"f_max", kSampleRate / 2},   {"mel_scale", "slaney"},
      {"mel_norm", "slaney"},       {"log", "log10_clamp8"},
      {"n_frames", frames},
  };
  return stage;
}

StageManifest encoder_manifest(const WhisperDims& dims) {
  StageManifest stage;
  stage.kind = kWhisperEncoderKind;
  stage.inputs = {{"mel",
                   {dims.num_mel_bins, kFramesPerPosition * dims.max_source_positions},
                   nn::DType::kF32}};
  stage.outputs = {{"features", {dims.max_source_positions, dims.d_model}, nn::DType::kF32}};
  stage.config = {
      {"d_model", dims.d_model},
      {"encoder_layers", dims.encoder_layers},
      {"encoder_attention_heads", dims.encoder_attention_heads},
      {"encoder_ffn_dim", dims.encoder_ffn_dim},
      {"num_mel_bins", dims.num_mel_bins},
      {"max_source_positions", dims.max_source_positions},
  };
  return stage;
}

StageManifest decoder_manifest(const WhisperDims& dims, const nlohmann::json& generation_facts) {
  const Dimension rows{1, kMaxRows};
  StageManifest stage;
  stage.kind = kWhisperDecoderKind;
  stage.inputs = {
      {"tokens", {rows, {1, dims.max_target_positions}}, nn::DType::kI32},
      {"features", {dims.max_source_positions, dims.d_model}, nn::DType::kF32},
  };
  stage.outputs = {{"logits", {rows, dims.vocab_size}, nn::DType::kF32}};
  const auto state = [&](const char* name, Dimension positions) -> Port {
    return {name, {dims.decoder_layers, rows, std::move(positions), dims.d_model}, nn::DType::kF32};
  };
  stage.states = {
      state("self_keys", {0, dims.max_target_positions}),
      state("self_values", {0, dims.max_target_positions}),
      state("cross_keys", dims.max_source_positions),
      state("cross_values", dims.max_source_positions),
  };
  stage.config = generation_facts;
  stage.config.update({
      {"d_model", dims.d_model},
      {"decoder_layers", dims.decoder_layers},
      {"decoder_attention_heads", dims.decoder_attention_heads},
      {"decoder_ffn_dim", dims.decoder_ffn_dim},
      {"vocab_size", dims.vocab_size},
      {"max_source_positions", dims.max_source_positions},
      {"max_target_positions", dims.max_target_positions},
  });
  return stage;
}

}  // namespace parley::stage
