#include "parley/core/nn/thread_team.h"

#include <omp.h>
#include <sched.h>

#include <utility>

#include "parley/core/nn/thread_count.h"

namespace parley::nn {

namespace {

// How often an idle thread looks for work before it sleeps (about 50 us), and a waiting caller
// before it offers its processor.
constexpr int kSpins = 1500;

void pause() { __builtin_ia32_pause(); }

constexpr uint64_t kIndexMask = 0xffffffff;

}  // namespace

int thread_count(int threads) { return threads > 0 ? threads : omp_get_num_procs(); }

ThreadTeam::ThreadTeam(int threads) {
  for (int i = 1; i < thread_count(threads); ++i) {
    workers_.emplace_back([this, i](const std::stop_token& stop) { serve(i, stop); });
  }
}

ThreadTeam::~ThreadTeam() {
  for (std::jthread& worker : workers_) worker.request_stop();
  wake_.fetch_add(1);
  wake_.notify_all();
}

// Loops are numbered; ticket_ = number << 32 | next index. loop_ is written only while the ticket
// is closed, and a thread calls what it says only after taking an index, which keeps the loop from
// ending.
void ThreadTeam::run_shared(int64_t count, const void* callable, Call call) {
  const uint64_t number = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(number << 32 |
                kIndexMask);  // closed: nobody takes an index while the loop is exchanged
  loop_.callable.store(callable, std::memory_order_relaxed);
  loop_.call.store(call, std::memory_order_relaxed);
  loop_.count.store(count, std::memory_order_release);
  left_.store(count, std::memory_order_relaxed);
  ticket_.store(number << 32);
  if (sleeping_.load() > 0) {
    wake_.fetch_add(1);
    wake_.notify_all();
  }
  while (work(0)) {
  }
  for (int spins = 0; left_.load(std::memory_order_acquire) > 0; ++spins) {
    if (spins < kSpins) {
      pause();
    } else {
      sched_yield();
    }
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

// Takes the next index of the current loop, if there is one, and makes its call.
bool ThreadTeam::work(int thread) {
  uint64_t ticket = ticket_.load();
  while (static_cast<int64_t>(ticket & kIndexMask) < loop_.count.load(std::memory_order_acquire)) {
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire))
      continue;
    const auto index = static_cast<int64_t>(ticket & kIndexMask);
    try {
      loop_.call.load(std::memory_order_relaxed)(loop_.callable.load(std::memory_order_relaxed),
                                                 index, thread);
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    left_.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }
  return false;
}

void ThreadTeam::serve(int thread, const std::stop_token& stop) {
  omp_set_num_threads(1);  // what oneDNN runs here, it runs here alone
  int idle = 0;
  while (!stop.stop_requested()) {
    if (work(thread)) {
      idle = 0;
    } else if (++idle < kSpins) {
      pause();
    } else {
      const uint32_t seen = wake_.load();
      sleeping_.fetch_add(
          1);  // before the last look: either it sees the new loop, or the caller sees a sleeper
      if (!work(thread) && !stop.stop_requested()) wake_.wait(seen);
      sleeping_.fetch_sub(1);
      idle = 0;
    }
  }
}

}  // namespace parley::nn
