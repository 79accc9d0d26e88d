#include "parley/decoder/kv_state.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"

namespace parley::decoder {
namespace {

constexpr CacheShape kShape{
    .layers = 2, .heads = 2, .head_dim = 16, .max_positions = 100, .f16 = false};

void mark(KvState& state, int slot, float value) {
  state.extend(slot, 1);
  const int64_t position = state.length(slot) - 1;
  const nn::Segment segment = state.segment(slot, position / KvState::kBlock, 1, 1, 1);
  std::vector<float> row(16, value);
  nn::store_position(segment, position % KvState::kBlock, 16, false, row.data(), row.data());
}

float value_at(const KvState& state, int slot, int64_t position) {
  const nn::Segment segment = state.segment(slot, position / KvState::kBlock, 1, 1, 1);
  return static_cast<const float*>(segment.values)[position % KvState::kBlock * 16];
}

TEST(KvState, ForksShareUntilOneWrites) {
  KvState state(kShape, 3);
  for (int i = 0; i < 40; ++i) mark(state, 0, static_cast<float>(i));
  const size_t before = state.bytes();
  state.fork(0, 1);
  state.fork(0, 2);
  EXPECT_EQ(state.bytes(), before) << "a fork copies nothing";
  mark(state, 1, 100);
  mark(state, 0, 200);
  mark(state, 2, 300);
  EXPECT_EQ(value_at(state, 1, 40), 100);
  EXPECT_EQ(value_at(state, 0, 40), 200);
  EXPECT_EQ(value_at(state, 2, 40), 300);
  for (int slot = 0; slot < 3; ++slot) {
    for (int64_t i = 0; i < 40; ++i) ASSERT_EQ(value_at(state, slot, i), static_cast<float>(i));
  }
}

TEST(KvState, GivesBlocksBack) {
  KvState state(kShape, 4);
  size_t most = 0;
  for (int round = 0; round < 20; ++round) {
    state.reset(0, nullptr);
    for (int i = 0; i < 90; ++i) mark(state, 0, 1);
    for (int slot = 1; slot < 4; ++slot) {
      state.fork(0, slot);
      mark(state, slot, 2);
      state.truncate(slot, 33);
    }
    if (round <= 1) most = state.bytes();  // in round 0 the other slots hold nothing yet
    EXPECT_EQ(state.bytes(), most);
  }
}

TEST(KvState, RefusesToOutgrowTheDecoder) {
  KvState state(kShape, 1);
  state.extend(0, 100);
  EXPECT_THROW(state.extend(0, 1), Error);
}

}  // namespace
}  // namespace parley::decoder
