#include "parley/pipeline/engine.h"

#include <algorithm>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/pipeline/start_engine.h"

namespace parley::pipeline {

std::shared_ptr<Engine> start_engine(int threads) { return std::make_shared<Engine>(threads); }

struct Engine::Call {
  const std::function<void(nn::Context&)>* work;
  std::stop_token stop;
  bool begun = false;
  bool done = false;
  std::exception_ptr error = nullptr;
};

Engine::Engine(int threads)
    : ctx_({.threads = threads}), threads_(ctx_.threads()), thread_([this] { run(); }) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Engine::call(Urgency urgency, const std::stop_token& stop,
                  const std::function<void(nn::Context&)>& work) {
  const auto call = std::make_shared<Call>(Call{.work = &work, .stop = stop});
  // A call that has not begun is given up at once.
  const std::stop_callback given_up(stop, [this] { wake(); });
  std::unique_lock lock(mutex_);
  (urgency == Urgency::kLive ? live_ : files_).push_back(call);
  changed_.notify_all();
  changed_.wait(lock, [&] { return call->done || (!call->begun && stop.stop_requested()); });
  if (!call->done) {
    std::erase(live_, call);
    std::erase(files_, call);
    throw Stopped();
  }
  if (call->error) std::rethrow_exception(call->error);
}

void Engine::add(Loop& loop) {
  const std::lock_guard lock(mutex_);
  loops_.push_back(&loop);
  changed_.notify_all();
}

void Engine::remove(Loop& loop) {
  std::unique_lock lock(mutex_);
  std::erase(loops_, &loop);
  changed_.wait(lock, [&] { return stepping_ != &loop; });
}

void Engine::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Engine::set_observer(nn::Observer* observer) {
  call(Urgency::kLive, {}, [observer](nn::Context& ctx) { ctx.set_observer(observer); });
}

// With the mutex held.
std::shared_ptr<Engine::Call> Engine::next_call() {
  std::deque<std::shared_ptr<Call>>& calls = live_.empty() ? files_ : live_;
  if (calls.empty()) return nullptr;
  std::shared_ptr<Call> call = std::move(calls.front());
  calls.pop_front();
  call->begun = true;
  return call;
}

void Engine::run_call(Call& call) {
  try {
    ctx_.set_stop_token(call.stop);
    ctx_.throw_if_stopped();
    (*call.work)(ctx_);
  } catch (...) {
    call.error = std::current_exception();
  }
  ctx_.set_stop_token({});
}

// One step of every loop that has something to do. False: none has.
bool Engine::step_loops(std::unique_lock<std::mutex>& lock) {
  bool stepped = false;
  for (size_t i = 0; i < loops_.size(); ++i) {
    if (loops_[i]->idle()) continue;
    stepped = true;
    stepping_ = loops_[i];
    lock.unlock();
    stepping_->step(ctx_);
    lock.lock();
    stepping_ = nullptr;
    changed_.notify_all();
  }
  return stepped;
}

void Engine::run() {
  ctx_.bind_to_this_thread();
  std::unique_lock lock(mutex_);
  bool called = false;  // the last thing done was a call
  while (true) {
    const bool urgent = called && std::ranges::any_of(loops_, [](const Loop* loop) {
                          return !loop->idle() && loop->urgent();
                        });
    const std::shared_ptr<Call> call = urgent ? nullptr : next_call();
    called = call != nullptr;
    if (call) {
      lock.unlock();
      run_call(*call);
      lock.lock();
      call->done = true;
      changed_.notify_all();
    } else if (!step_loops(lock)) {
      if (stopping_) break;
      changed_.wait(lock);
    }
  }
}

}  // namespace parley::pipeline
