#include "parley/pipeline/stt/decode_policy.h"

#include <algorithm>

#include "parley/core/base/error.h"
#include "parley/pipeline/stt/word_times.h"
#include "parley/text/scoring/compression_ratio.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

std::vector<int32_t> token_list(const stage::Stage& stage, const char* key, int64_t vocab_size) {
  std::vector<int32_t> tokens;
  for (const int64_t id : stage.config_ints(key, 0, vocab_size - 1))
    tokens.push_back(static_cast<int32_t>(id));
  return tokens;
}

std::shared_ptr<const decoder::LogitRules> logit_rules(const SpeechModel& model, bool timestamps) {
  const text::SpecialTokens& special = model.tokenizer.special();
  const stage::Stage& stage = model.files.stage("decoder");
  auto rules = std::make_shared<decoder::LogitRules>();
  rules->eot = special.eot;
  rules->no_timestamps = special.no_timestamps;
  rules->timestamp_begin = special.timestamp_begin;
  rules->suppressed = token_list(stage, "suppress_tokens", model.decoder.vocab_size());
  rules->suppressed_at_begin =
      token_list(stage, "begin_suppress_tokens", model.decoder.vocab_size());
  rules->max_initial_timestamp_index =
      static_cast<int>(stage.config_int("max_initial_timestamp_index", 0, text::kTimestampTokens));
  rules->timestamps = timestamps;
  return rules;
}

void check_languages(const SpeechModel& model, const TranscribeOptions& options) {
  const std::string& name = model.files.name();
  const auto knows = [&](const std::string& code) {
    return model.multilingual ? model.tokenizer.special().language(code) != text::kNoToken
                              : code == "en";
  };
  std::vector<std::string> asked = options.languages;
  if (!options.language.empty()) asked = {options.language};
  for (const std::string& code : asked) {
    if (knows(code)) continue;
    if (model.multilingual) throw Error(name, "does not know the language '" + code + "'");
    throw Error(name, "hears English only, not '" + code + "'", "use a multilingual model");
  }
  if (!model.multilingual && options.task == Task::kTranslate)
    throw Error(name, "cannot translate: it knows English only", "use a multilingual model");
}

// How much previous text the model was trained with; unless it says so, half its context less one,
// as published.
size_t max_prompt(const SpeechModel& model) {
  const stage::Stage& stage = model.files.stage("decoder");
  const int64_t most = model.decoder.cache_shape().max_positions / 2 - 1;
  constexpr const char* kKey = "max_prompt_tokens";
  return static_cast<size_t>(stage.has_config(kKey) ? stage.config_int(kKey, 0, most) : most);
}

}  // namespace

DecodePolicy::DecodePolicy(const SpeechModel& model, const TranscribeOptions& options)
    : model_(model),
      options_(options),
      language_(options.language),
      max_prompt_(max_prompt(model)),
      rules_(logit_rules(model, options.timestamps)) {
  check_languages(model, options);
  if (!model.multilingual) language_ = "en";
  if (language_.empty() && options.languages.size() == 1) language_ = options.languages.front();
  detects_language_ = language_.empty();
  if (options.temperatures.empty())
    throw Error("temperatures", "none given", "0 is greedy or beam search");
  if (const std::string prompt(text::strip(options.prompt)); !prompt.empty())
    initial_prompt_ = model.tokenizer.encode(" " + prompt);
  if (decoder::Hotwords words(model.tokenizer, options.hotwords, options.hotword_boost);
      !words.empty()) {
    hotwords_ = std::make_shared<const decoder::Hotwords>(std::move(words));
  }
}

decoder::LanguageGuess DecodePolicy::hear_language(
    nn::Context& ctx, std::shared_ptr<const decoder::CrossState> cross) const {
  return decoder::detect_language(ctx, model_.decoder, model_.tokenizer.special(),
                                  std::move(cross));
}

int DecodePolicy::sequences() const {
  const bool samples = std::any_of(options_.temperatures.begin(), options_.temperatures.end(),
                                   [](float t) { return t > 0; });
  const bool searches = std::find(options_.temperatures.begin(), options_.temperatures.end(),
                                  0.f) != options_.temperatures.end();
  const int beside = hotwords_ ? decoder::hot_sequences(options_.beam) : 0;
  return std::max({1, samples ? options_.best_of : 1, searches ? options_.beam + beside : 1});
}

std::vector<int32_t> DecodePolicy::start_sequence() const {
  const text::SpecialTokens& special = model_.tokenizer.special();
  std::vector<int32_t> tokens = {special.sot};
  if (model_.multilingual) {
    tokens.push_back(special.language(language_));
    tokens.push_back(options_.task == Task::kTranslate ? special.translate : special.transcribe);
  }
  if (!options_.timestamps) tokens.push_back(special.no_timestamps);
  return tokens;
}

decoder::DecodeTask DecodePolicy::task(std::shared_ptr<const decoder::CrossState> cross,
                                       std::span<const int32_t> prompt, int attempt,
                                       uint64_t window) const {
  const int64_t context = model_.decoder.cache_shape().max_positions;
  decoder::DecodeTask task;
  task.cross = std::move(cross);
  const auto last = prompt.last(std::min(prompt.size(), max_prompt_));
  if (!last.empty()) {
    task.initial_tokens.push_back(model_.tokenizer.special().sot_prev);
    task.initial_tokens.insert(task.initial_tokens.end(), last.begin(), last.end());
  }
  task.sot_index = static_cast<int64_t>(task.initial_tokens.size());
  const std::vector<int32_t> start = start_sequence();
  task.initial_tokens.insert(task.initial_tokens.end(), start.begin(), start.end());
  task.rules = rules_;
  task.hotwords = hotwords_;
  task.stop_loops = true;
  task.temperature = options_.temperatures.at(static_cast<size_t>(attempt));
  task.beam = options_.beam;
  task.best_of = options_.best_of;
  task.patience = options_.patience;
  task.length_penalty = options_.length_penalty;
  task.max_tokens = static_cast<int>(context / 2);
  task.seed = (options_.seed * 0x9E3779B97F4A7C15u + window) * 0x9E3779B97F4A7C15u +
              static_cast<uint64_t>(attempt);
  return task;
}

decoder::AlignTask DecodePolicy::align_task(std::shared_ptr<const decoder::CrossState> cross,
                                            const std::vector<Segment>& segments,
                                            double length) const {
  decoder::AlignTask task{.cross = std::move(cross),
                          .start = start_sequence(),
                          .texts = {},
                          .language = language_,
                          .positions = std::min(static_cast<int64_t>(length / 0.02 + 1e-6),
                                                model_.encoder.positions())};
  if (options_.timestamps) task.start.push_back(model_.tokenizer.special().no_timestamps);
  for (const Segment& segment : segments)
    task.texts.push_back(text_tokens(model_.tokenizer, segment));
  return task;
}

bool DecodePolicy::is_silence(const decoder::DecodeResult& result) const {
  return result.no_speech_prob > options_.no_speech_threshold &&
         result.avg_logprob <= options_.logprob_threshold;
}

bool DecodePolicy::accepts(const decoder::DecodeResult& result, bool holds_speech) const {
  if (result.no_speech_prob > options_.no_speech_threshold &&
      result.avg_logprob < options_.logprob_threshold)
    return true;
  // Words that were said to be likelier than the model thinks do not make a result fail.
  const double with_hotwords =
      result.avg_logprob + result.gain / static_cast<double>(result.tokens.size() + 1);
  const std::string text = text_of(result.tokens);
  if (text.empty() && holds_speech && result.no_speech_prob <= options_.no_speech_threshold)
    return false;
  return !result.looped && with_hotwords >= options_.logprob_threshold &&
         text::compression_ratio(text) <= options_.compression_ratio_threshold;
}

bool DecodePolicy::misled(const decoder::DecodeResult& result, std::span<const int32_t> prompt,
                          bool holds_speech) const {
  const auto last = prompt.last(std::min(prompt.size(), max_prompt_));
  if (last.empty()) return false;
  std::vector<int32_t> text = result.tokens;
  std::erase_if(text, [&](int32_t token) { return token >= rules_->eot; });
  return repeats_prompt(text, last) || (holds_speech && text_of(text).empty());
}

std::vector<std::string> DecodePolicy::notices() const {
  const size_t given = initial_prompt_.size();
  if (given <= max_prompt_) return {};
  if (max_prompt_ == 0)
    return {"the prompt is left out: the model was trained without previous text"};
  return {"of the prompt's " + std::to_string(given) + " tokens only the last " +
          std::to_string(max_prompt_) + " count: the model takes no more"};
}

std::string DecodePolicy::text_of(std::span<const int32_t> tokens) const {
  return std::string(text::strip(model_.tokenizer.decode(tokens)));
}

bool repeats_prompt(std::span<const int32_t> text, std::span<const int32_t> prompt) {
  constexpr size_t kRun = 4;
  constexpr size_t kFewest = 8;  // tokens
  if (text.size() < kFewest) return false;
  const size_t runs = text.size() - kRun + 1;
  size_t found = 0;
  for (size_t i = 0; i < runs; ++i) {
    const auto run = text.subspan(i, kRun);
    if (std::search(prompt.begin(), prompt.end(), run.begin(), run.end()) != prompt.end()) ++found;
  }
  return found * 3 > runs * 2;
}

}  // namespace parley::pipeline
