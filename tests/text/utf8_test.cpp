#include "parley/text/utf8.h"

#include <gtest/gtest.h>

#include "parley/tests/text/golden.h"

namespace parley::text {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(Utf8, ReplacesInvalidBytesAsPythonDoes) {
  ASSERT_GT(test::golden()["damaged"].size(), 50);
  for (const auto& damaged : test::golden()["damaged"]) {
    const std::string bytes = from_hex(damaged["hex"]);
    EXPECT_EQ(replace_invalid_utf8(bytes), damaged["text"]) << damaged["hex"];
    EXPECT_EQ(is_valid_utf8(bytes), bytes == damaged["text"]) << damaged["hex"];
  }
}

TEST(Utf8, EveryCodePointIsReadAsItWasWritten) {
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string bytes;
    append_utf8(bytes, value);
    const CodePoint point = first_code_point(bytes);
    ASSERT_EQ(point.status, Utf8Status::kValid) << static_cast<uint32_t>(value);
    ASSERT_EQ(point.value, value);
    ASSERT_EQ(point.length, bytes.size());
  }
}

TEST(Utf8Stream, CutsDoNotChangeTheText) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    const std::string bytes = test::random_text(seed, 20) + test::random_bytes(seed, 20);
    const std::string expected = replace_invalid_utf8(bytes);
    Utf8Stream stream;
    std::string text;
    for (size_t at = 0, piece = 1; at < bytes.size(); at += piece, piece = 1 + (seed + at) % 4) {
      const std::string released = stream.push(std::string_view(bytes).substr(at, piece));
      EXPECT_TRUE(is_valid_utf8(released));
      text += released;
    }
    EXPECT_EQ(text + stream.finish(), expected) << "seed " << seed;
  }
}

TEST(Utf8Stream, ReleasesACodePointWithItsLastByte) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xF0"), "a");
  EXPECT_EQ(stream.push("\x9F\x98"), "");
  EXPECT_EQ(stream.push("\x80z"), "😀z");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.push("\xAC"), "\uFFFD") << "finish() forgets what was held back";
}

}  // namespace
}  // namespace parley::text
