#include "parley/text/languages.h"

#include <gtest/gtest.h>

namespace parley::text {
namespace {

TEST(Languages, CodesNamesAndAliasesGiveTheCode) {
  EXPECT_EQ(language_code("en"), "en");
  EXPECT_EQ(language_code("English"), "en");
  EXPECT_EQ(language_code("HAITIAN CREOLE"), "ht");
  EXPECT_EQ(language_code("Flemish"), "nl");
  EXPECT_EQ(language_code("mandarin"), "zh");
  EXPECT_EQ(language_code("yue"), "yue");
  EXPECT_EQ(language_code("klingon"), std::nullopt);
  EXPECT_EQ(language_code(""), std::nullopt);
  EXPECT_EQ(language_name("jw"), "javanese");
  EXPECT_EQ(language_name("english"), std::nullopt);
}

TEST(Languages, AreInTheOrderOfTheirTokens) {
  ASSERT_EQ(languages().size(), 100);
  EXPECT_EQ(languages()[0].code, "en");
  EXPECT_EQ(languages()[1].code, "zh");
  EXPECT_EQ(languages()[98].code, "su");
  EXPECT_EQ(languages()[99].code, "yue");
  for (const Language& language : languages()) {
    EXPECT_EQ(language_code(language.code), language.code);
    EXPECT_EQ(language_code(language.name), language.code);
    EXPECT_EQ(language_name(language.code), language.name);
  }
}

}  // namespace
}  // namespace parley::text
