#include "parley/text/tokenizer/sentence_piece.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/tests/support.h"

namespace parley::text {
namespace {

const std::string kFolder = "tests/golden/speecht5/";

SentencePiece load(const std::string& name) {
  return SentencePiece::from_bytes(
      read_file(test::source_path(kFolder + name + "/spm_char.model"), 1 << 20), name);
}

// As transformers' SpeechT5Tokenizer, which appends the end of sentence.
TEST(SentencePiece, EncodesLikeTheReference) {
  for (const std::string name : {"small", "bin"}) {
    const SentencePiece pieces = load(name);
    const auto facts = nlohmann::json::parse(
        read_file(test::source_path(kFolder + name + "/golden.json"), 1 << 20));
    for (const auto& text : facts.at("texts")) {
      std::vector<int32_t> ids = pieces.encode(text.at("text").get<std::string>());
      ids.push_back(pieces.eos());
      EXPECT_EQ(ids, text.at("ids").get<std::vector<int32_t>>());
    }
  }
}

TEST(SentencePiece, ForeignCharactersAreUnknownAndNothingThrows) {
  const SentencePiece pieces = load("small");
  EXPECT_EQ(pieces.encode("\xE6\xBC\xA2").back(), pieces.unknown());
  EXPECT_EQ(pieces.encode(""), std::vector<int32_t>{});
  for (const std::string& text :
       {std::string("\xff\xfe\x80"), std::string("a\0b", 3), std::string(100000, 'x')}) {
    for (const int32_t id : pieces.encode(text)) {
      EXPECT_GE(id, 0);
      EXPECT_LT(id, pieces.size());
    }
  }
}

TEST(SentencePiece, DamagedModelsAreRefused) {
  const std::string model = read_file(test::source_path(kFolder + "bin/spm_char.model"), 1 << 20);
  EXPECT_THROW(SentencePiece::from_bytes("", "x"), Error);
  EXPECT_THROW(SentencePiece::from_bytes("no such thing", "x"), Error);
  for (size_t length = 1; length < model.size(); length += 13) {
    try {  // cut between two pieces it may be a model still
      SentencePiece::from_bytes(model.substr(0, length), "x").encode("Good morning.");
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace parley::text
