// Which language is spoken: heard in the first windows with speech, until one is likely enough.
#pragma once

#include <string>
#include <vector>

#include "parley/decoder/search.h"

namespace parley::pipeline {

// A window in which one language is more than half likely, and speech too, decides. When
// kMaxWindows have not, their average log-probabilities do, each window weighed by how likely there
// is speech in it. Reference: faster-whisper transcribe.py, detect_language
// (language_detection_threshold, language_detection_segments).
class LanguageDetection {
 public:
  static constexpr float kThreshold = 0.5f;
  static constexpr int kMaxWindows = 4;

  // among: codes; empty: all languages that the model knows. no_speech_threshold: a window that the
  // model is surer than this to hold no speech does not decide.
  LanguageDetection(std::vector<std::string> among, float no_speech_threshold)
      : among_(std::move(among)), no_speech_threshold_(no_speech_threshold) {}

  void hear(const decoder::LanguageGuess& window);
  bool sure() const { return decided_ || windows_ == kMaxWindows; }
  // The likeliest so far, and how likely among those that may be; no code when nothing was heard.
  decoder::LanguageProbability best() const;

 private:
  std::vector<std::string> among_;
  float no_speech_threshold_;
  int windows_ = 0;
  bool decided_ = false;
  double weight_ = 0;
  std::vector<decoder::LanguageProbability> sums_;  // of weighted log-probabilities
};

}  // namespace parley::pipeline
