// A speech model at work on an engine, for any number of listeners at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

#include "parley/decoder/search.h"
#include "parley/pipeline/engine.h"
#include "parley/pipeline/stt/speech_model.h"

namespace parley::pipeline {

// What became of a task.
struct Heard {
  int64_t number;  // its listener's
  decoder::DecodeResult result = {};
  std::exception_ptr error = nullptr;  // instead
};

// Windows of whichever listener are encoded one after another and decoded together, each by its
// own rules (continuous batching). What a listener hears does not depend on its company.
class SpeechEngine : private Engine::Loop {
 public:
  // windows: of all files together that may be in work at once, about, which bounds memory (each
  // holds 18 MB of base); 0: as many as their listeners want. Live windows are not counted.
  SpeechEngine(std::shared_ptr<Engine> engine, std::shared_ptr<const SpeechModel> model,
               int windows = 0);
  ~SpeechEngine() override;

  Engine& engine() { return *engine_; }
  const SpeechModel& model() const { return *model_; }
  std::shared_ptr<const SpeechModel> shared_model() const { return model_; }

 private:
  friend class Listener;
  // What a listener waits for.
  struct Desk {
    Urgency urgency;
    std::vector<Heard> finished = {};
    int64_t in_work = 0;  // tasks
    bool gone = false;
    double seconds = 0;  // of steps that it took part in
  };
  struct Submission {
    std::shared_ptr<Desk> desk;
    decoder::DecodeTask task;
    int64_t number;
  };
  struct Owner {
    std::shared_ptr<Desk> desk;
    int64_t number;
  };

  bool idle() const override;
  bool urgent() const override;
  void step(nn::Context& ctx) override;
  void take_submissions();
  void drop_gone();
  void fail_all(const std::exception_ptr& error);
  void done(Desk& desk, Heard heard);  // with a task; the mutex is held
  void tell_all();

  std::shared_ptr<Engine> engine_;
  std::shared_ptr<const SpeechModel> model_;
  const int windows_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Submission> submitted_;
  int live_in_work_ = 0;
  int in_work_ = 0;   // tasks that were submitted and are not finished
  int encoding_ = 0;  // windows of files
  bool someone_gone_ = false;
  decoder::Search search_;           // the engine's thread only
  std::map<int64_t, Owner> owners_;  // by the search's numbers
};

// One file, session or request: what it asks the engine for. Belongs to one thread at a time.
class Listener {
 public:
  // stop: ends what it waits for with Stopped.
  Listener(SpeechEngine& engine, Urgency urgency, std::stop_token stop);
  // What it submitted is forgotten.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const SpeechModel& model() const { return engine_.model(); }
  // Runs `work` on the engine's thread.
  void call(const std::function<void(nn::Context&)>& work) const;
  // The window with this log-mel, f32 [encoder.frames(), n_mels], as the decoder hears it. Files
  // wait until there is room for another window.
  std::shared_ptr<const decoder::CrossState> encode(std::span<const float> mel) const;

  // number: the caller's, for the result.
  void submit(int64_t number, decoder::DecodeTask task);
  // Waits until at least one task is done. Throws Stopped.
  std::vector<Heard> wait();
  // Submits one task and waits for it; there may be no other. Throws what went wrong.
  decoder::DecodeResult decode(decoder::DecodeTask task);
  // Seconds of decoding that it took part in.
  double decoder_seconds() const;

 private:
  SpeechEngine& engine_;
  std::stop_token stop_;
  std::shared_ptr<SpeechEngine::Desk> desk_;
};

}  // namespace parley::pipeline
