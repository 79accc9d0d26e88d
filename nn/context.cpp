#include "nn/context.h"

#include <algorithm>
#include <cassert>
#include <cstdint>

#include "base/error.h"
#include "nn/isa.h"

namespace parley::nn {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMinChunk = size_t{1} << 20;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

std::byte* Arena::allocate(size_t bytes) {
  bytes = aligned(std::max<size_t>(bytes, 1));
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].size) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    Chunk chunk;
    chunk.size = std::max(bytes, kMinChunk);
    chunk.memory = std::make_unique_for_overwrite<std::byte[]>(chunk.size + kAlignment);
    const auto address = reinterpret_cast<uintptr_t>(chunk.memory.get());
    chunk.begin = chunk.memory.get() + (aligned(address) - address);
    chunks_.push_back(std::move(chunk));
    used_ = 0;
  }
  std::byte* memory = chunks_[chunk_].begin + used_;
  used_ += bytes;
  return memory;
}

void Arena::release(Mark mark) {
  chunk_ = mark.chunk;
  used_ = mark.used;
}

size_t Arena::reserved_bytes() const {
  size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.size;
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
