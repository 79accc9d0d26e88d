#include "pipeline/decode_policy.h"

#include <algorithm>

#include "base/error.h"
#include "pipeline/word_times.h"
#include "text/compression_ratio.h"
#include "text/utf8.h"

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

}  // namespace

DecodePolicy::DecodePolicy(const SpeechModel& model, const TranscribeOptions& options)
    : model_(model),
      options_(options),
      language_(options.language),
      rules_(logit_rules(model, options.timestamps)) {
  const std::string& name = model.files.name();
  if (!model.multilingual) {
    if (!language_.empty() && language_ != "en")
      throw Error(name, "hears English only, not '" + language_ + "'", "use a multilingual model");
    if (options.task == Task::kTranslate)
      throw Error(name, "cannot translate: it knows English only", "use a multilingual model");
    language_ = "en";
  } else if (!language_.empty() &&
             model.tokenizer.special().language(language_) == text::kNoToken) {
    throw Error(name, "does not know the language '" + language_ + "'");
  }
  if (options.temperatures.empty())
    throw Error("temperatures", "none given", "0 is greedy or beam search");
  if (const std::string prompt(text::strip(options.prompt)); !prompt.empty())
    initial_prompt_ = model.tokenizer.encode(" " + prompt);
  if (decoder::Hotwords words(model.tokenizer, options.hotwords, options.hotword_boost);
      !words.empty()) {
    hotwords_ = std::make_shared<const decoder::Hotwords>(std::move(words));
  }
}

int DecodePolicy::sequences() const {
  const bool samples = std::any_of(options_.temperatures.begin(), options_.temperatures.end(),
                                   [](float t) { return t > 0; });
  const bool searches = std::find(options_.temperatures.begin(), options_.temperatures.end(),
                                  0.f) != options_.temperatures.end();
  return std::max({1, samples ? options_.best_of : 1, searches ? options_.beam : 1});
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
  const auto room = static_cast<size_t>(context / 2 - 1);
  if (!prompt.empty()) {
    task.initial_tokens.push_back(model_.tokenizer.special().sot_prev);
    const auto last = prompt.last(std::min(prompt.size(), room));
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

bool DecodePolicy::accepts(const decoder::DecodeResult& result) const {
  if (result.no_speech_prob > options_.no_speech_threshold &&
      result.avg_logprob < options_.logprob_threshold)
    return true;
  return !result.looped && result.avg_logprob >= options_.logprob_threshold &&
         text::compression_ratio(text_of(result.tokens)) <= options_.compression_ratio_threshold;
}

std::string DecodePolicy::text_of(std::span<const int32_t> tokens) const {
  return std::string(text::strip(model_.tokenizer.decode(tokens)));
}

}  // namespace parley::pipeline
