// Speech to text, end to end: audio in, segments out.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "parley/core/nn/precision.h"
#include "parley/dsp/audio_reader.h"
#include "parley/pipeline/start_engine.h"
#include "parley/pipeline/stt/transcribe_options.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::nn {
class Observer;
}

namespace parley::pipeline {

// A speech-to-text model, loaded (pipeline/stt/speech_model.h). Immutable: any number of
// Transcribers and LiveSessions may share one.
struct SpeechModel;

// Opens a model folder and packs its weights for this CPU. threads: for packing; 0: all processors.
// Throws Error: not a model, not speech to text, damaged, or its stages do not fit together.
std::shared_ptr<const SpeechModel> load_speech_model(const std::filesystem::path& folder,
                                                     nn::Precision precision = nn::Precision::kAuto,
                                                     int threads = 0);

// Where the time went. Stages run beside each other, so their sum may exceed wall_seconds. What
// waited for others on a shared engine counts, too.
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
// called transcribe_all().
struct Input {
  dsp::AudioReader audio;
  TranscribeEvents events = {};
  std::function<void(Transcript)> done;
  std::function<void(std::exception_ptr)> failed;  // instead: an Error about this input
};
// The next input, opened when the one before it has been read; nothing after the last. Without
// `wait` it may return nothing although more will come, rather than keep finished work waiting.
using NextInput = std::function<std::optional<Input>(bool wait)>;

// A model at work, for any number of Transcribers and LiveSessions at once: their windows are
// encoded one after another, live ones first, and decoded together (pipeline/stt/speech_engine.h).
class SpeechEngine;

// windows: of all files together that may be in work at once, which bounds memory; 0: as many as
// their options say.
std::shared_ptr<SpeechEngine> start_speech_engine(std::shared_ptr<const SpeechModel> model,
                                                  std::shared_ptr<Engine> engine, int windows = 0);

// Belongs to one thread at a time.
class Transcriber {
 public:
  // With an engine of its own. threads: of the computing team; 0: all processors.
  explicit Transcriber(std::shared_ptr<const SpeechModel> model, int threads = 0);
  // Shares the engine with others.
  explicit Transcriber(std::shared_ptr<SpeechEngine> engine);
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

  // Who watches all that its engine computes, or null; must outlive the next calls.
  void set_observer(nn::Observer* observer);

  const Timings& timings() const { return timings_; }  // of the last call
  const SpeechModel& model() const;

 private:
  void transcribe_one_by_one(const NextInput& next, const TranscribeOptions& options,
                             const std::stop_token& stop);

  std::shared_ptr<SpeechEngine> engine_;
  Timings timings_;
};

}  // namespace parley::pipeline
