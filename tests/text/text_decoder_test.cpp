#include "parley/text/text_decoder.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"
#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

using namespace std::string_literals;

std::string decoded(const std::string& bytes, size_t piece = 1 << 20,
                    std::string* guessed = nullptr) {
  TextDecoder decoder("a file");
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += piece) text += decoder.push(bytes.substr(at, piece));
  text += decoder.finish();
  if (guessed != nullptr) *guessed = decoder.guessed();
  return text;
}

std::string refusal(const std::string& bytes) {
  return test::error_of([&] { decoded(bytes); });
}

// ASCII in UTF-16, little endian.
std::string utf16(std::string_view ascii) {
  std::string bytes;
  for (const char c : ascii) bytes.append({c, '\0'});
  return bytes;
}

TEST(TextDecoder, Utf8StaysAsItIs) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("a"), "a");
  EXPECT_EQ(decoded("naïve — “日本” 😀"), "naïve — “日本” 😀");
  EXPECT_EQ(decoded("\xEF\xBB\xBFmarked"), "marked");
  EXPECT_EQ(decoded("é and damage \xFF here"), "é and damage \uFFFD here");
  EXPECT_EQ(decoded("a\0b"s), "a\0b"s) << "one stray byte makes no picture";
}

TEST(TextDecoder, Utf16AndUtf32AreKnownByTheirMark) {
  EXPECT_EQ(decoded("\xFF\xFEH\0i\0\xE9\0\x3D\xD8\0\xDE"s), "Hié😀");
  EXPECT_EQ(decoded("\xFE\xFF\0H\0i\0\xE9"s), "Hié");
  EXPECT_EQ(decoded("\xFF\xFE\0\0H\0\0\0"s), "H");
  EXPECT_EQ(decoded("\0\0\xFE\xFF\0\0\0H"s), "H");
  std::string guessed;
  EXPECT_EQ(decoded(utf16("No mark."), 1 << 20, &guessed), "No mark.");
  EXPECT_EQ(guessed, "UTF-16LE");
}

TEST(TextDecoder, WesternBytesAreWindows1252) {
  std::string guessed;
  EXPECT_EQ(decoded("The caf\xE9 in Z\xFCrich costs \xA3"
                    "5.",
                    1 << 20, &guessed),
            "The café in Zürich costs £5.");
  EXPECT_EQ(guessed, "windows-1252");
  EXPECT_EQ(decoded("\x93Go\x94 \x97 she said"), "“Go” — she said");
  EXPECT_EQ(decoded("ends with caf\xE9"), "ends with café");
  EXPECT_EQ(decoded(std::string(5000, 'a') + " caf\xE9"), std::string(5000, 'a') + " café");
}

TEST(TextDecoder, HowTheBytesAreCutChangesNothing) {
  std::string latin;
  for (int i = 0; i < 100; ++i) latin += "Le caf\xE9 est bon, no\xEBl aussi. ";
  for (const std::string& bytes :
       {"naïve — “日本” 😀 and more"s, "\xFF\xFEH\0i\0\xE9\0\x3D\xD8\0\xDE"s, utf16("No mark."),
        latin, "\xEF\xBB\xBFmarked"s}) {
    for (const size_t piece : {size_t{1}, size_t{3}, size_t{7}})
      EXPECT_EQ(decoded(bytes, piece), decoded(bytes)) << piece;
    EXPECT_TRUE(is_valid_utf8(decoded(bytes)));
  }
}

TEST(TextDecoder, APauseGivesOutWhatIsThere) {
  TextDecoder decoder("a file");
  EXPECT_EQ(decoder.push("Hi"), "");
  EXPECT_EQ(decoder.pause(), "Hi");
  EXPECT_EQ(decoder.push(" th\xC3"), " th");
  EXPECT_EQ(decoder.pause(), "") << "half a letter";
  EXPECT_EQ(decoder.push("\xA9"), "é");
}

TEST(TextDecoder, WhatIsNoTextIsRefusedByName) {
  EXPECT_NE(refusal("\x89PNG\r\n\x1A\n").find("PNG picture"), std::string::npos);
  EXPECT_NE(refusal("\xFF\xD8\xFF\xE0").find("JPEG"), std::string::npos);
  EXPECT_NE(refusal("%PDF-1.7\n").find("PDF"), std::string::npos);
  EXPECT_NE(refusal("PK\x03\x04").find("ZIP"), std::string::npos);
  EXPECT_NE(refusal("RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0"s).find("not a text"),
            std::string::npos);
  EXPECT_NE(refusal(test::random_bytes(1, 4000)).find("not a text"), std::string::npos);
  EXPECT_EQ(refusal("RIFF is a format, and GIF89a is one."), "");
}

}  // namespace
}  // namespace parley::text
