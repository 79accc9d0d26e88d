// Speech to text, end to end: audio in, segments out.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "dsp/audio_reader.h"
#include "dsp/silero_vad.h"
#include "nn/context.h"
#include "pipeline/speech_model.h"
#include "pipeline/transcript.h"

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
struct TranscribeOptions {
  Strategy strategy = Strategy::kWindows;
  VadKind vad = VadKind::kAuto;
  std::shared_ptr<const dsp::SileroModel> silero = nullptr;  // (pipeline/vad_model.h)
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
  int batch = 8;  // windows decoded together
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

// Throws Error for values that make no sense with any model.
void check_options(const TranscribeOptions& options);

// Where the time went. Stages run beside each other, so their sum may exceed wall_seconds.
struct Timings {
  double wall_seconds = 0;
  double audio_seconds = 0;
  double decode_audio = 0;
  double vad = 0;
  double frontend = 0;
  double encoder = 0;
  double decoder = 0;
  double stitch = 0;
  int64_t tokens = 0;  // sampled
  int64_t windows = 0;
};

struct TranscribeEvents {
  std::function<void(const Segment&)> segment = {};  // as soon as it is final, in order
  // A window's text is final: all its segments were told.
  std::function<void(double start, double end)> window = {};
  std::function<void(double seconds)> progress = {};  // how much of the audio is done
};

// One of many inputs, and who is told of it. The functions are called by the thread that
// transcribes.
struct Input {
  dsp::AudioReader audio;
  TranscribeEvents events = {};
  std::function<void(Transcript)> done;
  std::function<void(std::exception_ptr)> failed;  // instead: an Error about this input
};
// The next input, opened when the one before it has been read; nothing after the last. Without
// `wait` it may return nothing although more will come, rather than keep finished work waiting.
using NextInput = std::function<std::optional<Input>(bool wait)>;

// Belongs to one thread at a time.
class Transcriber {
 public:
  // threads: of the computing team; 0: all processors.
  explicit Transcriber(std::shared_ptr<const SpeechModel> model, int threads = 0);
  ~Transcriber();

  // Reads the audio to its end. Throws Error (bad audio, an option the model cannot honour) or
  // Stopped.
  Transcript transcribe(dsp::AudioReader audio, const TranscribeOptions& options = {},
                        const TranscribeEvents& events = {}, std::stop_token stop = {});

  // All inputs, finished in their order; the same transcripts as one by one, but the windows of
  // short inputs are decoded together. What `next` and the inputs' functions throw ends it, as does
  // Stopped.
  void transcribe_all(const NextInput& next, const TranscribeOptions& options = {},
                      std::stop_token stop = {});

  // Who watches the computation, or null; must outlive the next calls.
  void set_observer(nn::Observer* observer) { ctx_.set_observer(observer); }

  const Timings& timings() const { return timings_; }  // of the last call
  const SpeechModel& model() const { return *model_; }

 private:
  void transcribe_one_by_one(const NextInput& next, const TranscribeOptions& options);

  std::shared_ptr<const SpeechModel> model_;
  nn::Context ctx_;
  Timings timings_;
};

}  // namespace parley::pipeline
