// What a computation needs beside its operands: threads, scratch memory, and a way to be stopped.
#pragma once

#include <cstddef>
#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

#include "parley/core/nn/observer.h"
#include "parley/core/nn/tensor.h"
#include "parley/core/nn/thread_team.h"

namespace parley::nn {

// Memory handed out in order and taken back in reverse order, whole scopes at a time. Grows in
// chunks that are kept until a larger one is needed in their place.
class Arena {
 public:
  // 64-byte aligned, not initialized.
  std::byte* allocate(size_t bytes);

  struct Mark {
    size_t chunk = 0;
    size_t used = 0;
  };
  Mark mark() const { return {chunk_, used_}; }
  void release(Mark mark);
  size_t reserved_bytes() const;

 private:
  std::vector<Buffer> chunks_;
  size_t chunk_ = 0;  // the chunk that serves allocations
  size_t used_ = 0;   // bytes of it in use
};

struct ContextOptions {
  int threads = 0;  // threads of the parallel loops; 0: one for each processor the process may use
  std::stop_token stop =
      {};  // asked to stop: the running call throws Stopped at its next layer or step
};

// Belongs to one thread at a time: the thread that runs the first operation on it (checked in debug
// builds). Weights and models are immutable and shared by any number of contexts.
class Context {
 public:
  explicit Context(const ContextOptions& options = {});

  int threads() const { return team_->threads(); }
  ThreadTeam& team() { return *team_; }
  // body(index, thread) for each index in [0, count), shared by the team when that is worthwhile.
  template <class Body>
  void parallel(int64_t count, const Body& body, bool worthwhile = true) {
    if (worthwhile) {
      team_->run(count, body);
    } else {
      for (int64_t i = 0; i < count; ++i) body(i, 0);
    }
  }
  // Throws Stopped when the stop token was triggered.
  void throw_if_stopped() const;
  bool stop_requested() const { return stop_.stop_requested(); }
  void set_stop_token(std::stop_token stop) { stop_ = std::move(stop); }

  // Null: nobody watches. The observer must outlive its stay here.
  void set_observer(Observer* observer) { observer_ = observer; }
  Observer* observer() const { return observer_; }
  // x is what the layer `name` leaves; for whoever watches.
  void show(const std::string& name, const Tensor& x) const {
    if (observer_ != nullptr) observer_->layer(name, x);
  }

  // Scratch that lives until the enclosing Scope ends. Not initialized.
  Tensor allocate(const Shape& shape, DType dtype = DType::kF32);
  Arena& arena() { return arena_; }

  // Makes the calling thread the owner (debug builds); a context may move to another thread between
  // computations.
  void bind_to_this_thread();
  void check_thread() const;

 private:
  std::unique_ptr<ThreadTeam> team_;
  std::stop_token stop_;
  Arena arena_;
  Observer* observer_ = nullptr;
  std::thread::id owner_;
};

// What is allocated from the context while a Scope lives is released when it ends.
class Scope {
 public:
  explicit Scope(Context& ctx) : arena_(ctx.arena()), mark_(arena_.mark()) {}
  ~Scope() { arena_.release(mark_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace parley::nn
