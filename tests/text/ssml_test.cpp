#include "parley/text/spoken/ssml.h"

#include <gtest/gtest.h>

#include "parley/tests/support.h"

namespace parley::text {
namespace {

const EnglishSpokenForm& english() {
  static const EnglishSpokenForm spoken_form;
  return spoken_form;
}

std::vector<SsmlSpan> parse(std::string_view document) { return parse_ssml(document, english()); }

std::string error_of(std::string_view document) {
  return test::error_of([&] { parse(document); });
}

TEST(Ssml, PausesAndRatesMakeSpans) {
  const auto spans = parse(
      "<speak>Hello <break time='300ms'/>slow <prosody rate='slow'>words &amp; more</prosody> end"
      "<break strength=\"strong\"/><break time='1.5s'/></speak>");
  ASSERT_EQ(spans.size(), 4u);
  EXPECT_EQ(spans[0].text, "Hello ");
  EXPECT_EQ(spans[0].pause_ms, 300);
  EXPECT_EQ(spans[1].text, "slow ");
  EXPECT_EQ(spans[1].pause_ms, std::nullopt);
  EXPECT_EQ(spans[2].text, "words & more");
  EXPECT_EQ(spans[2].rate, 0.75);
  EXPECT_EQ(spans[3].text, " end");
  EXPECT_EQ(spans[3].rate, 1);
  EXPECT_EQ(spans[3].pause_ms, 2200) << "breaks add up";
}

TEST(Ssml, ParagraphsAndSentencesEnd) {
  const auto spans = parse("<speak><p><s>One</s><s>Two</s></p>\n<p>Three</p></speak>");
  ASSERT_EQ(spans.size(), 3u);
  EXPECT_TRUE(spans[0].ends_sentence);
  EXPECT_FALSE(spans[0].ends_paragraph);
  EXPECT_TRUE(spans[1].ends_paragraph);
  EXPECT_TRUE(spans[2].ends_paragraph);
}

TEST(Ssml, SayAsAndSubAreSaidInPlace) {
  const auto spans = parse(
      "<speak>The <say-as interpret-as='ordinal'>2</say-as> of <say-as interpret-as='date' "
      "format='dmy'>"
      "1/2/2003</say-as>, <sub alias='World Wide Web Consortium'>W3C</sub>.</speak>");
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].text,
            "The second of February first, two thousand three, World Wide Web Consortium.");
}

TEST(Ssml, RatesNestAndMultiply) {
  const auto spans =
      parse("<speak><prosody rate='50%'>a <prosody rate='+50%'>b</prosody></prosody></speak>");
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0].rate, 0.5);
  EXPECT_EQ(spans[1].rate, 0.75);
}

TEST(Ssml, TextKnowsWhereItWas) {
  const std::string document = "<speak>a &lt; <sub alias='bee'>b</sub> c\u00E9</speak>";
  const auto spans = parse(document);
  ASSERT_EQ(spans.size(), 1u);
  const auto source = [&](std::string_view part) {
    const size_t at = spans[0].text.find(part);
    const SourceRange range = spans[0].source_of(at, at + part.size());
    return document.substr(range.begin, range.end - range.begin);
  };
  EXPECT_EQ(source("a"), "a");
  EXPECT_EQ(source("<"), "&lt;");
  EXPECT_EQ(source("bee"), "<sub alias='bee'>b</sub>");
  EXPECT_EQ(source("c\u00E9"), "c\u00E9");
  EXPECT_EQ(source("bee c"), "<sub alias='bee'>b</sub> c");
}

TEST(Ssml, WhatIsUnknownIsRefusedByNameAndLine) {
  EXPECT_NE(
      error_of("<speak>\n\n<audio src='x'/></speak>").find("SSML:3: <audio> is not supported"),
      std::string::npos);
  EXPECT_NE(error_of("<speak><prosody pitch='high'>x</prosody></speak>")
                .find("attribute pitch of <prosody>"),
            std::string::npos);
  EXPECT_NE(error_of("<speak><break time='5 minutes'/></speak>").find("time=\"5 minutes\""),
            std::string::npos);
  EXPECT_NE(error_of("<speak><say-as interpret-as='song'>x</say-as></speak>").find("song"),
            std::string::npos);
  EXPECT_NE(error_of("<speak><say-as>x</say-as></speak>").find("has no interpret-as"),
            std::string::npos);
  EXPECT_NE(error_of("<speak xml:lang='de'>x</speak>").find("language de"), std::string::npos);
  EXPECT_NE(error_of("<p>x</p>").find("it must be <speak>"), std::string::npos);
  EXPECT_NE(
      error_of("<speak><sub alias='x'><s>y</s></sub></speak>").find("<s> stands inside <sub>"),
      std::string::npos);
  EXPECT_NE(error_of("<speak><prosody rate='1000%'>x</prosody></speak>").find("1000%"),
            std::string::npos);
}

TEST(Ssml, WhatIsNotWellFormedIsRefusedWithItsLine) {
  EXPECT_NE(error_of("<speak>\n<p>x</speak>").find("SSML:2: not well-formed: mismatched tag"),
            std::string::npos);
  EXPECT_NE(error_of("").find("not well-formed"), std::string::npos);
  EXPECT_NE(error_of("plain").find("not well-formed"), std::string::npos);
  EXPECT_NE(error_of("<speak>\xFF</speak>").find("not well-formed"), std::string::npos);
  EXPECT_NE(error_of("<speak>&undefined;</speak>").find("undefined entity"), std::string::npos);
}

TEST(Ssml, DocumentTypesAndDeepNestingAreRefused) {
  EXPECT_NE(error_of("<!DOCTYPE speak [<!ENTITY a 'b'>]><speak>&a;</speak>")
                .find("document types are refused"),
            std::string::npos);
  EXPECT_NE(
      error_of("<!DOCTYPE speak SYSTEM '/etc/passwd'><speak/>").find("document types are refused"),
      std::string::npos);
  std::string deep = "<speak>";
  for (int i = 0; i < 100'000; ++i) deep += "<p>";
  EXPECT_NE(error_of(deep).find("nested too deeply"), std::string::npos);
}

TEST(Ssml, CommentsAndDeclarationsAreAllowed) {
  const auto spans = parse(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- hello -->\n<speak version='1.1' "
      "xml:lang='en-US' "
      "xmlns='http://www.w3.org/2001/10/synthesis'>a<!-- b --><![CDATA[ <c> ]]></speak>");
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].text, "a <c> ");
  EXPECT_TRUE(parse("<speak/>").empty());
}

}  // namespace
}  // namespace parley::text
