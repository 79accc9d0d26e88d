// The machine's one computing thread, and what waits for it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "parley/core/nn/context.h"

namespace parley::pipeline {

// What is waited for by people comes before what is not.
enum class Urgency { kLive, kFile };

// Everything that computes in a process runs on the engine's thread and shares its team, whoever
// asks for it: files, live sessions, requests. There are two kinds of work. Calls, of a few
// milliseconds to a second (a window is encoded, words are aligned), run one after another, live
// ones first, else in their order. Loops go on step by step (decoding, where one step advances all
// windows in work): whenever no call waits; while somebody waits for one of its steps (urgent()),
// after every call.
//
// All functions may be called from any thread but the engine's own.
class Engine {
 public:
  // Work that advances in steps of some milliseconds. Called by the engine's thread.
  class Loop {
   public:
    virtual ~Loop() = default;
    virtual bool idle() const = 0;
    virtual bool urgent() const = 0;
    // What goes wrong is for the loop to tell those whom it concerns.
    virtual void step(nn::Context& ctx) = 0;
  };

  // threads: of the computing team; 0: all processors.
  explicit Engine(int threads = 0);
  // Nobody may be calling.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs `work` and returns when it has run. Throws what it threw; Stopped when `stop` was
  // requested before or meanwhile.
  void call(Urgency urgency, const std::stop_token& stop,
            const std::function<void(nn::Context&)>& work);

  void add(Loop& loop);
  // It is not stepped any more when this returns.
  void remove(Loop& loop);
  // A loop that was idle may not be idle any more.
  void wake();

  int threads() const { return threads_; }
  // Who watches the computation, or null; must outlive what is computed meanwhile.
  void set_observer(nn::Observer* observer);

 private:
  struct Call;
  void run();
  void run_call(Call& call);
  std::shared_ptr<Call> next_call();
  bool step_loops(std::unique_lock<std::mutex>& lock);

  nn::Context ctx_;
  int threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Call>> live_, files_;
  std::vector<Loop*> loops_;
  Loop* stepping_ = nullptr;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace parley::pipeline
