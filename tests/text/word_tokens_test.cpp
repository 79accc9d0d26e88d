#include "parley/text/scoring/word_tokens.h"

#include <gtest/gtest.h>

#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

void expect_words(const Tokenizer& tokenizer, const nlohmann::json& cases) {
  ASSERT_GT(cases.size(), 5);
  for (const auto& entry : cases) {
    const std::vector<int32_t> ids = entry["ids"];
    const auto words = split_to_word_tokens(tokenizer, ids, std::string(entry["language"]));
    ASSERT_EQ(words.size(), entry["words"].size()) << entry["words"];
    size_t begin = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string expected = entry["words"][i];
      EXPECT_EQ(words[i].text, expected == "<|endoftext|>" ? "" : expected);
      EXPECT_EQ(words[i].begin, begin);
      begin += entry["lengths"][i].get<size_t>();
      EXPECT_EQ(words[i].end, begin);
    }
  }
}

TEST(WordTokens, AreThoseOfOpenAiWhisper) {
  expect_words(test::small_tokenizer(), test::golden()["words"]["small"]);
}

TEST(WordTokens, AreThoseOfOpenAiWhisperUnderGpt2) {
  const Tokenizer* tokenizer = test::gpt2_tokenizer();
  if (tokenizer == nullptr) GTEST_SKIP() << test::kNoShared;
  expect_words(*tokenizer, test::golden()["words"]["gpt2"]);
}

// Whatever the tokens, the words are all of them in order, and their texts are the text.
TEST(WordTokens, CoverDamagedAndSpecialTokens) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::vector<int32_t> ids;
    for (const char byte : test::random_bytes(seed, 40)) {
      ids.push_back(static_cast<uint8_t>(byte) * 3 % (tokenizer.special().eot + 3));
    }
    for (const char* language : {"en", "ja"}) {
      size_t begin = 0;
      std::string text;
      for (const WordTokens& word : split_to_word_tokens(tokenizer, ids, language)) {
        EXPECT_EQ(word.begin, begin);
        EXPECT_GT(word.end, word.begin);
        begin = word.end;
        text += word.text;
      }
      EXPECT_EQ(begin, ids.size());
      // A special token ends an incomplete code point, so decode() may join what is apart here:
      // compare without any.
      std::erase_if(ids, [&](int32_t id) { return tokenizer.bytes(id).empty(); });
      if (ids.size() == begin) {
        EXPECT_EQ(text, tokenizer.decode(ids)) << "seed " << seed;
      }
    }
  }
}

TEST(WordTokens, ASpecialTokenIsAWordWithoutText) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  std::vector<int32_t> ids = tokenizer.encode(" a");
  const size_t count = ids.size();
  ids.insert(ids.begin(), tokenizer.special().timestamp_begin);
  ids.push_back(tokenizer.special().eot);
  const auto words = split_to_word_tokens(tokenizer, ids, "en");
  ASSERT_EQ(words.size(), 3);
  EXPECT_EQ(words[0].text, "");
  EXPECT_EQ(words[1].text, " a");
  EXPECT_EQ(words[1].end - words[1].begin, count);
  EXPECT_EQ(words[2].text, "");
  EXPECT_TRUE(split_to_word_tokens(tokenizer, {}, "en").empty());
}

}  // namespace
}  // namespace parley::text
