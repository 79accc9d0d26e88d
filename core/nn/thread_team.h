// The threads that share the loops of one computation.
//
// Why not OpenMP: its barriers wait for every thread of the team, and its idle threads spin for
// milliseconds. When another process wants a processor, each of the hundred small loops of a
// decoder step then costs a scheduler's time slice (measured: 36 ms a step instead of 0.9). Here
// the caller works through the loop itself and waits only for pieces that others have begun.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace parley::nn {

class ThreadTeam {
 public:
  // threads: the calling one included; 0: as many as the process has processors.
  explicit ThreadTeam(int threads = 0);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(index, thread) for each index in [0, count), on the calling thread (thread 0) and on
  // whichever workers are free; returns when all calls have. An exception of a call is thrown again
  // here. Loops do not nest; one thread at a time may run them.
  template <class Body>
  void run(int64_t count, const Body& body) {
    if (count <= 1 || workers_.empty()) {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
      return;
    }
    run_shared(count, &body, [](const void* callable, int64_t index, int thread) {
      (*static_cast<const Body*>(callable))(index, thread);
    });
  }

 private:
  using Call = void (*)(const void* callable, int64_t index, int thread);
  struct Loop {
    std::atomic<const void*> callable = nullptr;
    std::atomic<Call> call = nullptr;
    std::atomic<int64_t> count = 0;
  };

  void run_shared(int64_t count, const void* callable, Call call);
  bool work(int thread);
  void serve(int thread, const std::stop_token& stop);

  // The number of the loop in the upper half, its next index in the lower: taking an index fails
  // once the loop is over.
  std::atomic<uint64_t> ticket_ = 0;
  Loop loop_;
  std::atomic<int64_t> left_ = 0;   // indices whose calls have not returned
  std::atomic<uint32_t> wake_ = 0;  // changes when sleeping workers should look again
  std::atomic<int> sleeping_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::vector<std::jthread> workers_;  // last: they use everything above
};

}  // namespace parley::nn
