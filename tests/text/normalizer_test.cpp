// Equality with openai-whisper's normalizers (golden/make_normalizer_golden.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parley/core/base/file.h"
#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/scoring/english_normalizer.h"
#include "parley/text/scoring/word_error_rate.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

const nlohmann::json& published() {
  static const nlohmann::json data = nlohmann::json::parse(
      read_file(test::source_path("tests/text/golden/whisper_normalizer_golden.json"), 1 << 20));
  return data;
}

const EnglishTextNormalizer& english() {
  static const EnglishTextNormalizer normalizer;
  return normalizer;
}

TEST(EnglishTextNormalizer, EqualsThePublishedOne) {
  ASSERT_GE(published()["english"].size(), 500u);
  for (const auto& row : published()["english"]) {
    EXPECT_EQ(english()(row[0].get<std::string>()), row[1].get<std::string>()) << row[0];
  }
}

TEST(EnglishTextNormalizer, SpellingsContractionsAndNumbersAreOne) {
  EXPECT_EQ(english()("Mrs. Gray can't analyze twenty-one colors!"),
            english()("mrs grey can not analyse 21 colours"));
  EXPECT_EQ(english()("It cost two dollars and five cents"), english()("It cost $2.05."));
}

TEST(EnglishTextNormalizer, SurvivesAnyBytes) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    EXPECT_TRUE(is_valid_utf8(english()(test::random_bytes(seed, 100))));
    EXPECT_TRUE(is_valid_utf8(english()(test::random_text(seed, 100))));
  }
  EXPECT_EQ(english()(""), "");
}

TEST(AmericanSpelling, ReplacesWholeWords) {
  EXPECT_EQ(american_spelling("mobilisation cancelation colour colourx"),
            "mobilization cancellation color colourx");
  EXPECT_EQ(american_spelling("  grey \n sky "), "gray sky");
}

TEST(BasicTextNormalizer, EqualsThePublishedOne) {
  const BasicTextNormalizer plain, folded(true), letters(false, true);
  ASSERT_GE(published()["basic"].size(), 50u);
  for (const auto& row : published()["basic"]) {
    const std::string text = row[0];
    EXPECT_EQ(plain(text), row[1].get<std::string>()) << row[0];
    EXPECT_EQ(folded(text), row[2].get<std::string>()) << row[0];
    EXPECT_EQ(letters(text), row[3].get<std::string>()) << row[0];
  }
}

TEST(WordErrors, CountAsJiwerDoes) {
  ASSERT_GE(published()["word_errors"].size(), 300u);
  for (const auto& row : published()["word_errors"]) {
    const WordErrors errors = word_errors(row[0].get<std::string>(), row[1].get<std::string>());
    const WordErrors expected = {row[2], row[3], row[4], row[5]};
    EXPECT_EQ(errors, expected) << row;
    EXPECT_DOUBLE_EQ(errors.rate(), row[6].get<double>()) << row;
  }
}

TEST(WordErrors, AddUpOverUtterances) {
  WordErrors total = word_errors("a b c d", "a x c d");
  total += word_errors("e f", "e f g");
  EXPECT_EQ(total, (WordErrors{5, 1, 0, 1}));
  EXPECT_DOUBLE_EQ(total.rate(), 2.0 / 6);
}

}  // namespace
}  // namespace parley::text
