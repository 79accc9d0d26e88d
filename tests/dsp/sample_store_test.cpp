#include "parley/dsp/sample_store.h"

#include <gtest/gtest.h>

#include <numeric>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

TEST(SampleStore, ShowsAnySpanThatIsStillHeld) {
  SampleStore store;
  std::vector<float> block(100);
  for (int64_t at = 0; at < 100000; at += 100) {
    std::iota(block.begin(), block.end(), static_cast<float>(at));
    store.push(block);
    store.discard_before(at - 250);
    ASSERT_EQ(store.end(), at + 100);
    ASSERT_EQ(store.begin(), std::max<int64_t>(0, at - 250));
    const auto view = store.view(store.begin(), store.end());
    ASSERT_EQ(view.front(), static_cast<float>(store.begin()));
    ASSERT_EQ(view.back(), static_cast<float>(at + 99));
  }
  EXPECT_EQ(store.view(store.end(), store.end()).size(), 0u);
  EXPECT_NE(test::error_of([&] { store.view(store.begin() - 1, store.end()); }), "");
  EXPECT_NE(test::error_of([&] { store.view(store.begin(), store.end() + 1); }), "");
  EXPECT_NE(test::error_of([&] { store.view(store.end(), store.begin()); }), "");
}

TEST(SampleStore, ForgetsEverythingHeldAtMost) {
  SampleStore store;
  store.push(std::vector<float>(10, 1));
  store.discard_before(1000);
  EXPECT_EQ(store.begin(), 10);
  EXPECT_EQ(store.end(), 10);
  store.discard_before(5);
  EXPECT_EQ(store.begin(), 10);
}

}  // namespace
}  // namespace parley::dsp
