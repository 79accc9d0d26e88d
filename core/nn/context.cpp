#include "parley/core/nn/context.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"

namespace parley::nn {

namespace {

constexpr size_t kMinChunk = size_t{2} << 20;

size_t aligned(size_t bytes) {
  return (bytes + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
}

}  // namespace

std::byte* Arena::allocate(size_t bytes) {
  bytes = aligned(std::max<size_t>(bytes, 1));
  const size_t first_free = used_ == 0 ? chunk_ : chunk_ + 1;
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].size()) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    // Free chunks that are too small give way to one that is not: what grows step by step would
    // otherwise leave a chunk behind at each step.
    size_t wanted = std::max(bytes, kMinChunk);
    if (first_free < chunks_.size()) {
      const auto free = chunks_.begin() + static_cast<std::ptrdiff_t>(first_free);
      wanted = std::max(wanted, std::accumulate(free, chunks_.end(), size_t{0},
                                                [](size_t sum, const Buffer& chunk) {
                                                  return sum + chunk.size();
                                                }));
      chunks_.erase(free, chunks_.end());
      chunk_ = first_free;
    }
    chunks_.push_back(Buffer::uninitialized(wanted));
  }
  std::byte* memory = chunks_[chunk_].data() + used_;
  used_ += bytes;
  return memory;
}

void Arena::release(Mark mark) {
  chunk_ = mark.chunk;
  used_ = mark.used;
}

size_t Arena::reserved_bytes() const {
  size_t total = 0;
  for (const Buffer& chunk : chunks_) total += chunk.size();
  return total;
}

Context::Context(const ContextOptions& options)
    : team_(std::make_unique<ThreadTeam>(options.threads)), stop_(options.stop) {
  isa();  // chosen before the first kernel runs
}

void Context::throw_if_stopped() const {
  if (stop_.stop_requested()) throw Stopped();
}

Tensor Context::allocate(const Shape& shape, DType dtype) {
  check_thread();
  return {arena_.allocate(static_cast<size_t>(shape.elements()) * size_of(dtype)), shape, dtype};
}

void Context::bind_to_this_thread() { owner_ = std::this_thread::get_id(); }

void Context::check_thread() const {
#ifndef NDEBUG
  auto& owner = const_cast<Context*>(this)->owner_;
  if (owner == std::thread::id()) owner = std::this_thread::get_id();
  assert(owner == std::this_thread::get_id() &&
         "a Context belongs to one thread: see bind_to_this_thread()");
#endif
}

}  // namespace parley::nn
