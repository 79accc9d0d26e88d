// How a window is decoded, and when the result is good enough.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "decoder/search.h"
#include "decoder/word_alignment.h"
#include "pipeline/speech_model.h"
#include "pipeline/transcriber.h"

namespace parley::pipeline {

// The rules of one run, made of the model and the options.
// Reference: openai/whisper transcribe.py (decode_with_fallback) and decoding.py (DecodingTask).
class DecodePolicy {
 public:
  // Throws Error when the model cannot do what the options ask for.
  DecodePolicy(const SpeechModel& model, const TranscribeOptions& options);

  bool needs_language() const { return language_.empty(); }
  void set_language(std::string code) { language_ = std::move(code); }
  const std::string& language() const { return language_; }

  // Tokens of the text that options.prompt says came before.
  const std::vector<int32_t>& initial_prompt() const { return initial_prompt_; }
  int sequences() const;  // that one window needs at most
  int attempts() const { return static_cast<int>(options_.temperatures.size()); }

  // The task for a window at attempt 0, 1, ... of its temperatures. prompt: tokens of what was said
  // before; the last half context of them counts. window: what keys its random numbers, e.g. its
  // number in the file.
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
  // Good enough, or is the next temperature to be tried?
  bool accepts(const decoder::DecodeResult& result) const;
  // Did the model hear no speech in the window?
  bool is_silence(const decoder::DecodeResult& result) const;

  // The text of a result, as compression_ratio and people see it.
  std::string text_of(std::span<const int32_t> tokens) const;

 private:
  std::vector<int32_t> start_sequence() const;

  const SpeechModel& model_;
  TranscribeOptions options_;
  std::string language_;
  std::vector<int32_t> initial_prompt_;
  std::shared_ptr<const decoder::LogitRules> rules_;
  std::shared_ptr<const decoder::Hotwords> hotwords_;  // null: none
};

}  // namespace parley::pipeline
