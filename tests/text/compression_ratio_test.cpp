#include "parley/text/scoring/compression_ratio.h"

#include <gtest/gtest.h>

#include "parley/tests/text/golden.h"

namespace parley::text {
namespace {

// Another zlib (zlib-ng) may find slightly longer or shorter codes than the one that made the
// golden data.
TEST(CompressionRatio, EqualsOpenAiWhisper) {
  for (const auto& entry : test::golden()["compression"]) {
    const std::string text = entry["text"];
    const double expected = entry["ratio"];
    EXPECT_NEAR(compression_ratio(text), expected, 0.02 * expected) << text;
  }
}

TEST(CompressionRatio, TellsRepetitionFromSpeech) {
  std::string repeated;
  for (int i = 0; i < 30; ++i) repeated += " thank you";
  EXPECT_GT(compression_ratio(repeated), 2.4);
  EXPECT_LT(compression_ratio(" The quick brown fox jumps over the lazy dog."), 2.4);
}

}  // namespace
}  // namespace parley::text
