#include "parley/convert/whisper_generation.h"

#include <algorithm>
#include <array>

#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

namespace {

// openai/whisper audio.py.
constexpr int64_t kSampleRate = 16000;
constexpr int64_t kNFft = 400;
constexpr int64_t kHopLength = 160;
constexpr int64_t kMaxInitialTimestampIndex = 50;  // 1.0 s

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

bool is_multilingual(const WhisperDims& dims) { return dims.vocab_size >= 51865; }

namespace {

// openai/whisper, whisper/__init__.py, _ALIGNMENT_HEADS (there: a compressed mask of layers x
// heads).
const AlignmentHeads kTinyEn = {{1, 0}, {2, 0}, {2, 5}, {3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 4}};
const AlignmentHeads kTiny = {{2, 2}, {3, 0}, {3, 2}, {3, 3}, {3, 4}, {3, 5}};
const AlignmentHeads kBaseEn = {{3, 3}, {4, 7}, {5, 1}, {5, 5}, {5, 7}};
const AlignmentHeads kBase = {{3, 1}, {4, 2}, {4, 3}, {4, 7}, {5, 1}, {5, 2}, {5, 4}, {5, 6}};
const AlignmentHeads kSmallEn = {{6, 6},  {7, 0},  {7, 3},   {7, 8},  {8, 2},  {8, 5},  {8, 7},
                                 {9, 0},  {9, 4},  {9, 8},   {9, 10}, {10, 0}, {10, 1}, {10, 2},
                                 {10, 3}, {10, 6}, {10, 11}, {11, 2}, {11, 4}};
const AlignmentHeads kSmall = {{5, 3}, {5, 9}, {8, 0}, {8, 4}, {8, 7},
                               {8, 8}, {9, 0}, {9, 7}, {9, 9}, {10, 5}};
const AlignmentHeads kMediumEn = {{11, 4},  {14, 1}, {14, 12}, {14, 14}, {15, 4},  {16, 0},
                                  {16, 4},  {16, 9}, {17, 12}, {17, 14}, {18, 7},  {18, 10},
                                  {18, 15}, {20, 0}, {20, 3},  {20, 9},  {20, 14}, {21, 12}};
const AlignmentHeads kMedium = {{13, 15}, {15, 4}, {15, 15}, {16, 1}, {20, 0}, {23, 4}};
const AlignmentHeads kLargeV1 = {{9, 19},  {11, 2},  {11, 4}, {11, 17}, {22, 7},
                                 {22, 11}, {22, 17}, {23, 2}, {23, 15}};
const AlignmentHeads kLargeV2 = {{10, 12}, {13, 17}, {16, 11}, {16, 12}, {16, 13}, {17, 15},
                                 {17, 16}, {18, 4},  {18, 11}, {18, 19}, {19, 11}, {21, 2},
                                 {21, 3},  {22, 3},  {22, 9},  {22, 12}, {23, 5},  {23, 7},
                                 {23, 13}, {25, 5},  {26, 1},  {26, 12}, {27, 15}};
const AlignmentHeads kLargeV3 = {{7, 0},   {10, 17}, {12, 18}, {13, 12}, {16, 1},
                                 {17, 14}, {19, 11}, {21, 4},  {24, 1},  {25, 6}};
const AlignmentHeads kTurbo = {{2, 4}, {2, 11}, {3, 3}, {3, 6}, {3, 11}, {3, 14}};

constexpr std::string_view kLargeV1Sha256 =
    "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a";

struct PublishedModel {
  int64_t d_model, encoder_layers, decoder_layers, vocab_size;
  const AlignmentHeads& heads;
};

}  // namespace

AlignmentHeads alignment_heads(const WhisperDims& dims, std::string_view sha256) {
  static const std::array kPublished = {
      PublishedModel{384, 4, 4, 51864, kTinyEn},      PublishedModel{384, 4, 4, 51865, kTiny},
      PublishedModel{512, 6, 6, 51864, kBaseEn},      PublishedModel{512, 6, 6, 51865, kBase},
      PublishedModel{768, 12, 12, 51864, kSmallEn},   PublishedModel{768, 12, 12, 51865, kSmall},
      PublishedModel{1024, 24, 24, 51864, kMediumEn}, PublishedModel{1024, 24, 24, 51865, kMedium},
      PublishedModel{1280, 32, 32, 51865, kLargeV2},  PublishedModel{1280, 32, 32, 51866, kLargeV3},
      PublishedModel{1280, 32, 4, 51866, kTurbo},
  };
  if (sha256 == kLargeV1Sha256) return kLargeV1;
  for (const PublishedModel& model : kPublished) {
    if (model.d_model == dims.d_model && model.encoder_layers == dims.encoder_layers &&
        model.decoder_layers == dims.decoder_layers && model.vocab_size == dims.vocab_size) {
      return model.heads;
    }
  }
  AlignmentHeads heads;
  for (int layer = static_cast<int>(dims.decoder_layers / 2); layer < dims.decoder_layers;
       ++layer) {
    for (int head = 0; head < dims.decoder_attention_heads; ++head) heads.emplace_back(layer, head);
  }
  return heads;
}

}  // namespace parley::stage
