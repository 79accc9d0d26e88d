#include "parley/decoder/dropout.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace parley::decoder {
namespace {

// Known answers of Random123, kat_vectors.
TEST(Dropout, PhiloxGivesItsPublishedValues) {
  const auto words = [](const PhiloxBlock& block) {
    return std::vector<uint32_t>(block.words, block.words + 4);
  };
  EXPECT_EQ(words(philox({{0, 0, 0, 0}}, 0)),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(philox({{~0u, ~0u, ~0u, ~0u}}, ~uint64_t{0})),
            (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822)),
            (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

std::vector<uint8_t> draw(const DropoutKey& key, uint32_t step, double dropout = 0.5,
                          size_t count = 510) {
  std::vector<uint8_t> kept(count, 7);
  draw_kept(key, step, dropout, kept);
  return kept;
}

TEST(Dropout, IsAFunctionOfItsKey) {
  const DropoutKey key{.seed = 1, .sentence = 2, .attempt = 0};
  EXPECT_EQ(draw(key, 5), draw(key, 5));
  EXPECT_NE(draw(key, 5), draw(key, 6));
  EXPECT_NE(draw(key, 5), draw({.seed = 2, .sentence = 2, .attempt = 0}, 5));
  EXPECT_NE(draw(key, 5), draw({.seed = 1, .sentence = 3, .attempt = 0}, 5));
  EXPECT_NE(draw(key, 5), draw({.seed = 1, .sentence = 2, .attempt = 1}, 5));
}

TEST(Dropout, KeepsTheAskedShare) {
  for (const double dropout : {0., 0.1, 0.5, 0.9}) {
    int kept = 0;
    constexpr int kSteps = 100;
    for (uint32_t step = 0; step < kSteps; ++step) {
      const std::vector<uint8_t> units = draw({.seed = 3}, step, dropout, 511);
      kept += std::accumulate(units.begin(), units.end(), 0);
    }
    EXPECT_NEAR(kept / (kSteps * 511.), 1 - dropout, 0.01);
  }
}

}  // namespace
}  // namespace parley::decoder
