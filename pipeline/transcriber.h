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
#include "nn/context.h"
#include "pipeline/speech_model.h"
#include "pipeline/transcribe_options.h"
#include "pipeline/transcript.h"

namespace parley::pipeline {

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
