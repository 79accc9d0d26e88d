#include "parley/core/base/bounded_queue.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

namespace parley::pipeline {
namespace {

TEST(BoundedQueue, HandsOverEverythingInOrder) {
  BoundedQueue<int> queue(3);
  std::jthread producer([&] {
    for (int i = 0; i < 10000; ++i) queue.push(i);
    queue.close();
  });
  int expected = 0;
  while (const auto item = queue.pop()) {
    ASSERT_EQ(*item, expected++);
    ASSERT_LE(queue.size(), 3u);
  }
  EXPECT_EQ(expected, 10000);
}

TEST(BoundedQueue, AClosedQueueTakesNothingAndGivesWhatItHas) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.push(1));
  queue.close();
  EXPECT_FALSE(queue.push(2));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, AWaitingProducerIsReleasedByClosing) {
  BoundedQueue<int> queue(1);
  queue.push(1);
  bool taken = true;
  std::jthread producer([&] { taken = queue.push(2); });
  queue.close();
  producer.join();
  EXPECT_FALSE(taken);
}

TEST(BoundedQueue, AProducersErrorReachesTheConsumerAfterItsItems) {
  BoundedQueue<int> queue(2);
  queue.push(1);
  queue.fail(std::make_exception_ptr(std::runtime_error("broken")));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_THROW(queue.pop(), std::runtime_error);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

}  // namespace
}  // namespace parley::pipeline
