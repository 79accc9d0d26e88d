// How a window is decoded, and when the result is good enough.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/decoder/search.h"
#include "parley/decoder/word_alignment.h"
#include "parley/pipeline/stt/language_detection.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcribe_options.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

// The rules of one run, made of the model and the options.
// Reference: openai/whisper transcribe.py (decode_with_fallback) and decoding.py (DecodingTask).
class DecodePolicy {
 public:
  // Throws Error when the model cannot do what the options ask for.
  DecodePolicy(const SpeechModel& model, const TranscribeOptions& options);

  bool needs_language() const { return language_.empty(); }
  bool detects_language() const { return detects_language_; }  // nothing else says it
  void set_language(std::string code) { language_ = std::move(code); }
  // What detects the language, and what it hears in a window.
  LanguageDetection language_detection() const {
    return {options_.languages, options_.no_speech_threshold};
  }
  decoder::LanguageGuess hear_language(nn::Context& ctx,
                                       std::shared_ptr<const decoder::CrossState> cross) const;
  const std::string& language() const { return language_; }

  // Tokens of the text that options.prompt says came before.
  const std::vector<int32_t>& initial_prompt() const { return initial_prompt_; }
  // What a user should know of it: that the model takes less of it, or nothing.
  std::vector<std::string> notices() const;
  int sequences() const;  // that one window needs at most
  int attempts() const { return static_cast<int>(options_.temperatures.size()); }

  // The task for a window at attempt 0, 1, ... of its temperatures. prompt: tokens of what was said
  // before; as many of the last count as the model was trained with. window: what keys its random
  // numbers, e.g. its number in the file.
  decoder::DecodeTask task(std::shared_ptr<const decoder::CrossState> cross,
                           std::span<const int32_t> prompt, int attempt, uint64_t window) const;
  // The words of a window's segments are to be timed, because they or something else of them are
  // asked for.
  bool needs_words() const {
    return options_.word_timestamps || options_.hallucination_silence_threshold >= 0;
  }
  // The task of timing them. length: seconds of audio in the window.
  decoder::AlignTask align_task(std::shared_ptr<const decoder::CrossState> cross,
                                const std::vector<Segment>& segments, double length) const;
  // Good enough, or is the next temperature to be tried? holds_speech: a detector found some in the
  // window, so that it should not be empty.
  bool accepts(const decoder::DecodeResult& result, bool holds_speech = false) const;
  // Did the prompt lead the model astray? Its text is the prompt's again, or there is none although
  // the window holds speech. Then the window is to be decoded again without.
  bool misled(const decoder::DecodeResult& result, std::span<const int32_t> prompt,
              bool holds_speech) const;
  // Did the model hear no speech in the window?
  bool is_silence(const decoder::DecodeResult& result) const;

  // The text of a result, as compression_ratio and people see it.
  std::string text_of(std::span<const int32_t> tokens) const;

 private:
  std::vector<int32_t> start_sequence() const;

  const SpeechModel& model_;
  TranscribeOptions options_;
  std::string language_;
  bool detects_language_;
  std::vector<int32_t> initial_prompt_;
  size_t max_prompt_;  // tokens
  std::shared_ptr<const decoder::LogitRules> rules_;
  std::shared_ptr<const decoder::Hotwords> hotwords_;  // null: none
};

// Is the text the prompt's again? Most runs of four of its tokens stand there too, which other text
// has a few of, in names. Short texts may well be said twice.
bool repeats_prompt(std::span<const int32_t> text, std::span<const int32_t> prompt);

}  // namespace parley::pipeline
