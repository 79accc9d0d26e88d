#include "parley/text/spoken/utterances.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"

namespace parley::text {
namespace {

const EnglishSpokenForm& english() {
  static const EnglishSpokenForm spoken_form;
  return spoken_form;
}

std::vector<Utterance> utterances(std::string_view text, UtteranceOptions options = {},
                                  size_t piece = 1 << 20) {
  UtteranceStream stream(english(), std::move(options));
  std::vector<Utterance> result;
  const auto drain = [&] {
    while (auto utterance = stream.next()) result.push_back(*utterance);
  };
  for (size_t at = 0; at < text.size(); at += piece) {
    stream.push(text.substr(at, piece));
    drain();
  }
  stream.finish();
  drain();
  return result;
}

std::string joined(const std::vector<Utterance>& list) {
  std::string text;
  for (const Utterance& utterance : list)
    text.append(text.empty() ? "" : " ").append(utterance.spoken);
  return text;
}

TEST(Utterances, AreSentencesWithPausesAndPlaces) {
  const std::string text = "Dr. Lee paid $5. Why?\n\n“Because.”";
  const auto list = utterances(text, {.sentence_pause_ms = 100, .paragraph_pause_ms = 300});
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].spoken, "Doctor Lee paid five dollars.");
  EXPECT_EQ(list[0].source.begin, 0u);
  EXPECT_EQ(list[0].pause_after_ms, 100);
  EXPECT_EQ(list[1].spoken, "Why?");
  EXPECT_EQ(list[1].pause_after_ms, 300);
  EXPECT_EQ(list[2].spoken, "Because.");
  EXPECT_EQ(text.substr(list[2].source.begin, list[2].source.end - list[2].source.begin),
            "Because");
  EXPECT_EQ(list[2].pause_after_ms, 0) << "nothing follows";
  EXPECT_EQ(list[2].rate, 1);
}

TEST(Utterances, LimitsCountWhatIsSpoken) {
  // Short as written, long as spoken.
  const auto list = utterances("It was 123,456,789, and 987,654,321 too.", {.max_size = 60});
  ASSERT_GT(list.size(), 2u);
  for (const Utterance& utterance : list) {
    EXPECT_LE(utterance.spoken.size(), 60u);
    EXPECT_EQ(utterance.pause_after_ms, 0);
  }
  // What a piece is closed with apart.
  const auto bare = [](std::string text) {
    std::erase(text, ',');
    return text;
  };
  EXPECT_EQ(bare(joined(list)),
            bare(english().speak("It was 123,456,789, and 987,654,321 too.").text()));
  EXPECT_EQ(list.back().source.end,
            std::string_view("It was 123,456,789, and 987,654,321 too").size());
}

TEST(Utterances, ModelTokensMayBeCounted) {
  const auto words = [](std::string_view text) {
    return static_cast<size_t>(std::ranges::count(text, ' ')) + 1;
  };
  for (const Utterance& utterance :
       utterances("one two three four five six seven", {.max_size = 2, .size_of = words})) {
    EXPECT_LE(words(utterance.spoken), 2u);
  }
}

TEST(Utterances, CutsOfTheInputDoNotMatterAndNoWordIsLost) {
  std::string text;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    text += "Plain words number " + std::to_string(seed) + " stay. " + test::random_text(seed, 20) +
            test::random_bytes(seed, 5) + (seed % 5 == 0 ? "\n\n" : " ");
  }
  const auto expected = utterances(text, {.max_size = 50});
  for (const size_t piece : {size_t{1}, size_t{13}, size_t{1000}}) {
    const auto list = utterances(text, {.max_size = 50}, piece);
    ASSERT_EQ(list.size(), expected.size());
    for (size_t i = 0; i < list.size(); ++i) {
      EXPECT_EQ(list[i].spoken, expected[i].spoken);
      EXPECT_EQ(list[i].source.begin, expected[i].source.begin);
      EXPECT_EQ(list[i].source.end, expected[i].source.end);
      EXPECT_EQ(list[i].pause_after_ms, expected[i].pause_after_ms);
    }
  }
  std::string spoken = joined(expected);
  std::erase(spoken, ',');  // that pieces are closed with
  size_t at = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    at = spoken.find("Plain words number", at);
    ASSERT_NE(at, std::string::npos) << seed;
    ++at;
  }
}

TEST(Utterances, TheFirstSentenceOfALongTextComesAtOnce) {
  UtteranceStream stream(english());
  stream.push("Good morning. It is ");
  const auto first = stream.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->spoken, "Good morning.");
  EXPECT_EQ(first->pause_after_ms, UtteranceOptions().sentence_pause_ms);
  EXPECT_FALSE(stream.next());
}

// A voice that hears no end says it twice.
TEST(Utterances, AreClosed) {
  const auto spoken = [](std::string_view text, size_t max_size = 400) {
    std::string all;
    for (const Utterance& utterance : utterances(text, {.max_size = max_size}))
      all += utterance.spoken + "|";
    return all;
  };
  EXPECT_EQ(spoken("Hello"), "Hello.|");
  EXPECT_EQ(spoken("Why?"), "Why?|");
  EXPECT_EQ(spoken("Kitchen..."), "Kitchen.|");
  EXPECT_EQ(spoken("Wait... what"), "Wait, what.|");
  EXPECT_EQ(spoken("A heading\n\n- one\n- two"), "A heading.|one.|two.|");
  EXPECT_EQ(spoken("one two three four", 11), "one two,|three four.|");
  EXPECT_EQ(closed("", true), "");
  for (const Utterance& utterance : utterances("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", {.max_size = 10}))
    EXPECT_LE(utterance.spoken.size(), 10u) << "what closes it counts";
}

TEST(Utterances, LettersMayBeSaidByName) {
  const auto spoken = [](std::string_view text) {
    const auto list = utterances(text, {.letter_names = true});
    return list.empty() ? "" : list.front().spoken;
  };
  EXPECT_EQ(spoken("The FBI's CEO, I think."), "The eff bee I's see ee oh, I think.");
  EXPECT_EQ(spoken("A cat at the USA"), "A cat at the you ess ay.");
  EXPECT_EQ(spoken("An API, an X-ray, a T-shirt"), "An ay pee I, an ex-ray, a tee-shirt.");
  EXPECT_EQ(spoken("I'm at www.a.com."), "I'm at double-you double-you double-you dot a dot com.");
  EXPECT_EQ(spoken("So do I."), "So do I.");
}

TEST(Utterances, LeftOutCharactersAreCounted) {
  EXPECT_EQ(describe({{0xE000, 1}}), "1 character: U+E000");
  EXPECT_EQ(describe({{0x627, 2}, {0x628, 1}}), "3 characters: Arabic (\u0627 \u0628)");
  CodePointCounts many;
  for (char32_t c = 0x5D0; c < 0x5E0; ++c) many[c] = 2;
  EXPECT_EQ(describe(many), "32 characters: Hebrew (\u05D0 \u05D1 \u05D2 \u05D3 \u05D4 ...)");
}

TEST(Utterances, APauseOfTheInputEndsASentence) {
  UtteranceStream stream(english());
  stream.push("First.\n");
  EXPECT_FALSE(stream.next());
  stream.pause(Pause::kShort);
  const auto first = stream.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->spoken, "First.");
  stream.push("And then");
  stream.pause(Pause::kShort);
  EXPECT_FALSE(stream.next());
  stream.pause(Pause::kLong);
  EXPECT_EQ(stream.next()->spoken, "And then.");
}

TEST(Utterances, NothingToSayIsNoUtterance) {
  EXPECT_TRUE(utterances("").empty());
  EXPECT_TRUE(utterances("  \n\n *** \n\n --- ").empty());
  EXPECT_TRUE(utterances("\xFF\xFE").empty());
  const auto list = utterances("One\n\n***\n\nTwo");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].pause_after_ms, UtteranceOptions().paragraph_pause_ms);
}

TEST(Utterances, AHundredThousandCharactersWithoutASpace) {
  const auto list = utterances(std::string(100'000, 'a'), {.max_size = 400});
  size_t total = 0;
  for (const Utterance& utterance : list) {
    EXPECT_LE(utterance.spoken.size(), 400u);
    total += static_cast<size_t>(std::ranges::count(utterance.spoken, 'a'));
  }
  EXPECT_EQ(total, 100'000u);
}

TEST(Utterances, SsmlSetsPausesAndRates) {
  const std::string document =
      "<speak><break time='50ms'/>I paid <say-as interpret-as='cardinal'>1905</say-as> dollars. "
      "Really."
      "<break time='1s'/><prosody rate='fast'>Very <sub alias='quickly'>qk</sub></prosody> indeed. "
      "<p>New $5</p>End<break time='2s'/></speak>";
  const auto list =
      utterances(document, {.ssml = true, .sentence_pause_ms = 100, .paragraph_pause_ms = 300});
  ASSERT_EQ(list.size(), 7u);
  EXPECT_EQ(list[0].spoken, "");
  EXPECT_EQ(list[0].pause_after_ms, 50);
  EXPECT_EQ(list[1].spoken, "I paid one thousand nine hundred five dollars.");
  EXPECT_EQ(list[1].pause_after_ms, 100);
  EXPECT_EQ(list[2].spoken, "Really.");
  EXPECT_EQ(list[2].pause_after_ms, 1000);
  EXPECT_EQ(list[3].spoken, "Very quickly,");
  EXPECT_EQ(list[3].rate, 1.25);
  EXPECT_EQ(list[3].pause_after_ms, 0);
  EXPECT_EQ(list[4].spoken, "indeed.");
  EXPECT_EQ(list[4].pause_after_ms, 100);
  EXPECT_EQ(list[5].spoken, "New five dollars.");
  EXPECT_EQ(list[5].pause_after_ms, 300);
  EXPECT_EQ(list[6].pause_after_ms, 2000) << "as asked for, even at the end";
  EXPECT_EQ(document.substr(list[5].source.begin, list[5].source.end - list[5].source.begin),
            "New $5");
}

TEST(Utterances, AWrongSsmlDocumentIsRefused) {
  UtteranceStream stream(english(), {.ssml = true, .where = "letter.ssml"});
  stream.push("<speak>Hello <blink>");
  EXPECT_NE(
      test::error_of([&] { stream.finish(); }).find("letter.ssml:1: <blink> is not supported"),
      std::string::npos);
}

TEST(Utterances, UnspeakableCodePointsAreReported) {
  UtteranceStream stream(english());
  stream.push("a \uE000 b");
  stream.finish();
  while (stream.next()) {
  }
  EXPECT_EQ(stream.unspeakable(), (CodePointCounts{{0xE000, 1}}));
}

}  // namespace
}  // namespace parley::text
