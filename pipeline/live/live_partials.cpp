#include "parley/pipeline/live/live_partials.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <utility>

#include "parley/core/nn/linear.h"
#include "parley/dsp/audio_reader.h"
#include "parley/pipeline/stt/overlap.h"
#include "parley/pipeline/stt/segments.h"
#include "parley/text/scoring/compression_ratio.h"
#include "parley/text/scoring/word_tokens.h"

namespace parley::pipeline {

namespace {

constexpr size_t kMaxDraft = 64;  // tokens read in one step: each takes a row of the vocabulary

double seconds(int64_t samples) { return static_cast<double>(samples) / dsp::kSampleRate; }

// Hotwords wait for the final text: they need sequences beside the greedy one.
TranscribeOptions greedy(TranscribeOptions options) {
  options.beam = 1;
  options.hotwords.clear();
  options.temperatures = {0};
  return options;
}

bool has_letter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0;
  });
}

std::string text_of(const std::vector<Segment>& segments) {
  std::string text;
  for (const Segment& segment : segments) text += segment.text;
  return text;
}

// Bytes of the words that both begin with.
size_t common_words(std::string_view a, std::string_view b) {
  const auto at =
      static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  const auto ends_word = [](std::string_view text, size_t i) {
    return i == text.size() || text[i] == ' ';
  };
  for (size_t i = at; i > 0; --i) {
    if (ends_word(a, i) && ends_word(b, i)) return i;
  }
  return 0;
}

}  // namespace

LivePartials::LivePartials(const SpeechModel& model, const TranscribeOptions& options)
    : model_(model),
      policy_(model, greedy(options)),
      compression_ratio_threshold_(options.compression_ratio_threshold),
      detects_language_(policy_.needs_language()),
      state_(model.decoder.cache_shape(), 1) {}

void LivePartials::begin(int64_t window_start) {
  window_start_ = window_start;
  tokens_.clear();
  logprobs_.clear();
  settled_ = 0;
  shown_.clear();
}

std::optional<LivePartials::Text> LivePartials::pass(nn::Context& ctx, SourceWindow source,
                                                     const std::string& language,
                                                     const WindowedTranscript::Pending& pending,
                                                     const std::function<bool()>& abandon) {
  const dsp::Window& window = source.window;
  if (window.start != window_start_) begin(window.start);
  const auto cross = listen(ctx, model_, source.mel);
  if (detects_language_) {
    LanguageDetection heard = policy_.language_detection();
    if (language.empty()) heard.hear(policy_.hear_language(ctx, cross));
    policy_.set_language(language.empty() ? heard.best().code : language);
  }
  if (abandon()) return std::nullopt;
  const std::vector<int32_t> before = tokens_;
  const auto result = decode(ctx, policy_.task(cross, policy_.initial_prompt(), 0, 0), abandon);
  if (!result) return std::nullopt;
  if (policy_.is_silence(*result) ||
      text::compression_ratio(policy_.text_of(tokens_)) > compression_ratio_threshold_) {
    begin(window.start);
    return std::nullopt;
  }
  settled_ = agreed(before);
  return show(*result, window, pending);
}

std::optional<decoder::DecodeResult> LivePartials::decode(nn::Context& ctx,
                                                          const decoder::DecodeTask& task,
                                                          const std::function<bool()>& abandon) {
  const size_t prompt = task.initial_tokens.size();
  std::vector<int32_t> draft = tokens_;
  draft.resize(std::min(draft.size(), settled_ + kMaxDraft));
  tokens_.resize(settled_);
  logprobs_.resize(settled_);
  decoder::DecodeResult result;
  Choice next;
  {
    const nn::Scope scope(ctx);
    std::vector<decoder::Row> rows;
    for (const int32_t token : task.initial_tokens) rows.push_back({0, token, false});
    for (const int32_t token : draft) rows.push_back({0, token, false});
    for (size_t i = prompt - 1 + settled_; i < rows.size(); ++i) rows[i].logits = true;
    const auto sot = static_cast<size_t>(task.sot_index);
    const bool sot_apart = !rows[sot].logits;
    rows[sot].logits = true;
    state_.reset(0, task.cross);
    const nn::Tensor logits = model_.decoder.step(ctx, state_, rows);
    result.no_speech_prob = no_speech_prob({logits.row(0), static_cast<size_t>(logits.cols())});
    for (int64_t row = sot_apart ? 1 : 0; row < logits.rows(); ++row) {
      next = choose(task, {logits.row(row), static_cast<size_t>(logits.cols())});
      if (tokens_.size() == draft.size() || next.token != draft[tokens_.size()]) break;
      keep(next);
      ++verified_;
    }
    state_.truncate(0, static_cast<int64_t>(prompt + tokens_.size()));
  }
  while (next.token != task.rules->eot && static_cast<int>(tokens_.size()) < task.max_tokens &&
         state_.length(0) < state_.max_length() &&
         !(task.stop_loops && decoder::ends_in_loop(tokens_, task.rules->timestamp_begin))) {
    if (abandon()) {
      tokens_ = std::move(draft);  // as before, or nearly
      logprobs_.resize(tokens_.size(), 0);
      return std::nullopt;
    }
    keep(next);
    ++decoded_;
    const nn::Scope scope(ctx);
    const decoder::Row row{0, next.token, true};
    const nn::Tensor logits = model_.decoder.step(ctx, state_, {&row, 1});
    next = choose(task, {logits.row(0), static_cast<size_t>(logits.cols())});
  }
  result.tokens = tokens_;
  result.sum_logprob = next.logprob;
  for (const double logprob : logprobs_) result.sum_logprob += logprob;
  result.avg_logprob = result.sum_logprob / static_cast<double>(tokens_.size() + 1);
  return result;
}

float LivePartials::no_speech_prob(std::span<const float> logits) const {
  const int32_t token = model_.tokenizer.special().no_speech;
  if (token < 0 || static_cast<size_t>(token) >= logits.size()) return 0;
  return std::exp(logits[static_cast<size_t>(token)] - nn::peak(logits).logsumexp);
}

// The likeliest token, as decoder::Search takes it.
LivePartials::Choice LivePartials::choose(const decoder::DecodeTask& task,
                                          std::span<float> logits) const {
  task.rules->apply(logits, tokens_);
  const nn::Peak best = nn::peak(logits);
  return {static_cast<int32_t>(best.index), best.maximum - best.logsumexp};
}

void LivePartials::keep(const Choice& choice) {
  tokens_.push_back(choice.token);
  logprobs_.push_back(choice.logprob);
}

// Tokens of the last pass that the pass before has too, up to the end of a word in both.
size_t LivePartials::agreed(const std::vector<int32_t>& before) const {
  const auto common = static_cast<size_t>(
      std::mismatch(tokens_.begin(), tokens_.end(), before.begin(), before.end()).first -
      tokens_.begin());
  std::set<size_t> ends;
  for (const auto& word : text::split_to_word_tokens(model_.tokenizer, before, policy_.language()))
    ends.insert(word.end);
  size_t settled = settled_;
  for (const auto& word :
       text::split_to_word_tokens(model_.tokenizer, tokens_, policy_.language())) {
    // A full stop, or a time, is often only where the audio ends so far.
    if (word.end <= common && ends.contains(word.end) && has_letter(word.text))
      settled = std::max(settled, word.end);
  }
  return settled;
}

LivePartials::Text LivePartials::show(const decoder::DecodeResult& result,
                                      const dsp::Window& window,
                                      const WindowedTranscript::Pending& pending) {
  const double start = seconds(window.start);
  const double end = seconds(window.end);
  std::vector<Segment> segments =
      segment_window(model_.tokenizer, result, start, end - start, Unfinished::kKeep).segments;
  drop_empty(segments);
  Text shown{.start = start, .end = end};
  const bool joined = !pending.segments.empty() && start < pending.end;
  if (joined) {
    std::vector<Segment> earlier = pending.segments;
    join_overlap(model_.tokenizer, policy_.language(), start, pending.end, earlier, segments);
    shown.start = pending.start;
    shown.text = text_of(earlier);
  }
  shown.text += text_of(segments);
  const std::string settled = model_.tokenizer.decode(std::span(tokens_).first(settled_));
  shown.stable = !joined && shown.text.starts_with(settled) ? settled.size()
                                                            : common_words(shown_, shown.text);
  shown_ = shown.text;
  return shown;
}

}  // namespace parley::pipeline
