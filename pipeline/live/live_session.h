// Speech to text while it is spoken: samples in, events out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "parley/dsp/voice_front_end.h"
#include "parley/pipeline/live/live_event.h"
#include "parley/pipeline/live/live_intake.h"
#include "parley/pipeline/stt/transcriber.h"

namespace parley::pipeline {

struct LiveOptions {
  // As for files, with a shorter silence that ends an utterance. The strategy is windows.
  TranscribeOptions transcribe = {.endpoint_silence = 0.5};
  Overflow overflow = Overflow::kBlock;
  double queue_seconds = 30;      // of audio that may wait
  double partial_interval = 0.5;  // seconds of new audio between partial texts; 0: none
  std::optional<dsp::VoiceFrontEndOptions> front_end = {};
  // Seconds from played() to the echo in what is pushed: what the sound devices hold back. Rather
  // too little: the canceller finds another 0.1 s within a second of sound, but 0.3 s only in 20.
  double echo_delay = 0;
  int threads = 0;  // of the computing team; 0: all processors
};

// One stream. Two threads work beside the caller's: one improves the sound, finds speech, cuts
// windows and computes log-mel; one computes text. The same windows as for a file, decoded by the
// same code: with no front end and Overflow::kBlock the final texts are those of
// Transcriber::transcribe on the whole stream with equal options, whatever the sizes pushed.
//
// Events are told one at a time from the session's threads. Those of an utterance come in order;
// speech may start again before the text of the utterance before is final.
class LiveSession {
 public:
  using OnEvent = std::function<void(const LiveEvent&)>;

  // With an engine of its own. Throws Error for options that the model cannot honour.
  LiveSession(std::shared_ptr<const SpeechModel> model, const LiveOptions& options,
              OnEvent on_event);
  // Shares the engine with others; options.threads is not used.
  LiveSession(std::shared_ptr<SpeechEngine> engine, const LiveOptions& options, OnEvent on_event);
  // Cancels.
  ~LiveSession();
  LiveSession(const LiveSession&) = delete;
  LiveSession& operator=(const LiveSession&) = delete;

  // The next samples: 16 kHz, mono, about ±1. One thread at a time. False: the session has failed
  // or was cancelled, and takes no more; finish() says why.
  bool push(std::span<const float> samples);
  // Samples that the source lost (a microphone that was away): told as an overrun, and times go on.
  void missed(int64_t samples);
  // What the same machine plays, just before it does: 16 kHz mono. It is laid beside the samples
  // that are pushed next, however long those wait to be heard. For the front end's echo
  // cancellation; without that it is ignored. From any one thread.
  void played(std::span<const float> samples);

  // The running utterance ends with what was pushed so far.
  void flush();
  // It ends, and what is pushed until resume() is not heard. Times go on.
  void pause();
  void resume();

  // No more comes: returns when all final texts were told. Throws what stopped the session: Error,
  // what the event function threw, or Stopped when it was cancelled.
  void finish();
  // Stops as soon as possible; may be called from anywhere, also from the event function.
  void cancel();

  // After finish(). wall_seconds: those in which text was computed, so that wall_seconds /
  // audio_seconds is what listening costs.
  const Timings& timings() const;
  double dropped_seconds() const;

 private:
  class Work;
  std::unique_ptr<Work> work_;
};

}  // namespace parley::pipeline
