#include "parley/core/nn/context.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"

namespace parley::nn {
namespace {

TEST(Arena, ScopesGiveBackWhatTheyTook) {
  Context ctx({.threads = 1});
  const Tensor outer = ctx.allocate({100});
  void* first = nullptr;
  for (int i = 0; i < 50; ++i) {
    const Scope scope(ctx);
    const Tensor inner = ctx.allocate({1000, 1000});
    if (first == nullptr) first = inner.data;
    EXPECT_EQ(inner.data, first) << "the same memory serves each round";
    EXPECT_NE(inner.data, outer.data);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(inner.data) % 64, 0u);
  }
  EXPECT_LT(ctx.arena().reserved_bytes(), size_t{6} << 20);
}

TEST(Arena, WhatGrowsStepByStepLeavesNothingBehind) {
  Arena arena;
  constexpr size_t kMiB = size_t{1} << 20;
  arena.allocate(64);  // stays
  const Arena::Mark mark = arena.mark();
  for (size_t size = 4; size <= 64; size += 4) {
    arena.allocate(size * kMiB);
    arena.allocate(3 * kMiB);
    arena.release(mark);
  }
  EXPECT_LE(arena.reserved_bytes(), 80 * kMiB);
}

TEST(Arena, EarlierAllocationsStayWhenItGrows) {
  Context ctx({.threads = 1});
  const Tensor small = ctx.allocate({10});
  small.f32()[3] = 42;
  ctx.allocate({1 << 20});
  ctx.allocate({1 << 21});
  EXPECT_EQ(small.f32()[3], 42);
}

TEST(Context, StopsWhenAsked) {
  std::stop_source source;
  const Context ctx({.threads = 1, .stop = source.get_token()});
  EXPECT_NO_THROW(ctx.throw_if_stopped());
  source.request_stop();
  EXPECT_THROW(ctx.throw_if_stopped(), Stopped);
}

#if !defined(NDEBUG) && \
    !defined(           \
        __SANITIZE_THREAD__)  // the check is an assertion; TSan dislikes threads after a fork
TEST(ContextDeathTest, BelongsToOneThread) {
  Context ctx({.threads = 1});
  ctx.allocate({1});
  EXPECT_DEATH(std::thread([&ctx] { ctx.allocate({1}); }).join(), "belongs to one thread");
}
#endif

}  // namespace
}  // namespace parley::nn
