// What can be asked of speech to text. Names, ranges and help texts: pipeline/stt/visit_options.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace parley::dsp {
class SileroModel;
}

namespace parley::pipeline {

enum class Strategy {
  kWindows,     // windows cut at silences, decoded independently and together, joined where they
                // overlap (docs/architecture.md)
  kSequential,  // the published algorithm: one window after another, each starting where the last
                // timestamp was
};
enum class VadKind {
  kAuto,  // windows: Silero's when its model is given, else WebRTC's; sequential: none, as
          // published
  kSilero,
  kWebrtc,
  kOff,  // everything is speech
};
enum class Task { kTranscribe, kTranslate };  // kTranslate: into English, by multilingual models

// The defaults of openai/whisper's command line.
// Opens a model folder of kind vad (Silero's), for TranscribeOptions::silero. Throws Error: not a
// model, of another kind, damaged.
std::shared_ptr<const dsp::SileroModel> load_vad_model(const std::filesystem::path& folder);

struct TranscribeOptions {
  Strategy strategy = Strategy::kWindows;
  VadKind vad = VadKind::kAuto;
  std::shared_ptr<const dsp::SileroModel> silero = nullptr;  // (pipeline/stt/vad_model.h)
  double endpoint_silence = 3;  // seconds of silence that end a window, or are skipped
  std::string language = "";    // code; empty: detected from the first windows with speech
  std::vector<std::string> languages = {};  // codes among which it is; empty: all that are known
  Task task = Task::kTranscribe;
  int beam = 5;     // at temperature 0; 1: greedy
  int best_of = 5;  // samples above temperature 0
  float patience = 1;
  float length_penalty = -1;  // negative: by mean log-probability
  std::vector<float> temperatures = {
      0, 0.2f, 0.4f, 0.6f, 0.8f, 1};  // the next one is tried when a result fails the thresholds
  uint64_t seed = 0;
  std::string prompt = "";                 // text that is taken for what was said before
  std::vector<std::string> hotwords = {};  // words and phrases that are likelier than usual
  float hotword_boost = 1.5f;              // by so much in log-probability for each of their tokens
  bool condition_on_previous_text = true;  // sequential only
  float no_speech_threshold = 0.6f;
  float logprob_threshold = -1;
  float compression_ratio_threshold = 2.4f;
  int batch = 4;  // windows decoded together: each holds 18 MB of base
  bool word_timestamps = false;
  // Drops text that is unlikely by its words and stands in more than so many seconds of silence;
  // the sequential strategy listens again from there. Negative: off.
  double hallucination_silence_threshold = -1;
  bool timestamps = true;  // the model gives times to segments; false: one segment for each window
};

// The detector that finds speech: never kAuto.
inline VadKind voice_detector(const TranscribeOptions& options) {
  if (options.vad != VadKind::kAuto) return options.vad;
  if (options.strategy == Strategy::kSequential) return VadKind::kOff;
  return options.silero ? VadKind::kSilero : VadKind::kWebrtc;
}

// Whether Silero's model is used if it is there.
inline bool wants_silero(const TranscribeOptions& options) {
  return options.vad == VadKind::kSilero ||
         (options.vad == VadKind::kAuto && options.strategy == Strategy::kWindows);
}

inline bool detects_speech(const TranscribeOptions& options) {
  return voice_detector(options) != VadKind::kOff;
}

// Throws Error naming the option that is out of its range (visit_options.h).
void check_options(const TranscribeOptions& options);

}  // namespace parley::pipeline
