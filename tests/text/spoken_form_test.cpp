#include "parley/text/spoken/spoken_form.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <sstream>

#include "parley/core/base/file.h"
#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

const EnglishSpokenForm& english() {
  static const EnglishSpokenForm spoken_form;
  return spoken_form;
}

std::string speak(std::string_view written) { return english().speak(written).text(); }
std::string speak_as(SayAs kind, std::string_view written, std::string_view format = "") {
  return english().speak_as(kind, written, format).text();
}

// Of no abbreviation, unit or number.
constexpr std::array<std::string_view, 24> kPlainWords = {
    "morning", "river",  "quickly", "under",   "yellow", "garden", "believe", "stone",
    "it's",    "don't",  "people",  "between", "window", "music",  "answer",  "house",
    "walked",  "nobody", "teacher", "winter",  "a",      "they",   "because", "children"};

constexpr std::array<std::string_view, 44> kNoise = {"5",          "$5",
                                                     "½",          "😀",
                                                     "—",          "(",
                                                     ")",          "\"",
                                                     "“",          "www.x.com",
                                                     "\xFF\xFE",   "...",
                                                     "3:00",       "IV",
                                                     "Dr.",        "#",
                                                     "&",          "1,000,000",
                                                     "12/25/1999", "a@b.org",
                                                     "100%",       "-3",
                                                     "F-16",       "USA",
                                                     "e.g.",       "St.",
                                                     "№",          "\u200B",
                                                     "\uFFFD",     "日本",
                                                     "привет",     "1/2",
                                                     "10-20",      "+1 555 123 4567",
                                                     "@x",         "****",
                                                     "//",         "C:\\x",
                                                     "'",          "°",
                                                     "5 km",       "£2.50 million",
                                                     "\x01",       "007"};

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(text)};
  for (std::string word; stream >> word;) {
    word.resize(word.find_last_not_of(",.?!;:") + 1);
    words.push_back(word);
  }
  return words;
}

bool is_subsequence(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  size_t found = 0;
  for (const std::string& word : whole) found += found < part.size() && word == part[found] ? 1 : 0;
  return found == part.size();
}

void expect_speakable(const std::string& spoken) {
  EXPECT_EQ(
      spoken.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'-,.?!;: "),
      std::string::npos)
      << spoken;
}

TEST(SpokenForm, SaysWhatAnEducatedSpeakerSays) {
  std::istringstream table(
      read_file(test::source_path("tests/text/golden/spoken_form.tsv"), 1 << 20));
  int cases = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') {
      if (line.find('\t') == std::string::npos) continue;
    }
    const size_t tab = line.find('\t');
    ASSERT_NE(tab, std::string::npos) << line;
    const std::string written = line.substr(0, tab);
    EXPECT_EQ(speak(written), line.substr(tab + 1)) << written;
    ++cases;
  }
  EXPECT_GE(cases, 300);
}

TEST(SpokenForm, LosesNoWordAmongAnything) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    std::minstd_rand random(seed);
    std::vector<std::string> words;
    std::string written;
    for (int i = 0; i < 30; ++i) {
      if (random() % 2 == 0) {
        words.emplace_back(kPlainWords[random() % kPlainWords.size()]);
        written += words.back();
      } else {
        written += kNoise[random() % kNoise.size()];
      }
      written += random() % 7 == 0 ? ", " : " ";
    }
    const std::string spoken = speak(written);
    EXPECT_TRUE(is_subsequence(words, words_of(spoken))) << written << "\n" << spoken;
    expect_speakable(spoken);
  }
}

TEST(SpokenForm, LosesNoWordOfALargeCorpus) {
  const auto corpus = test::shared_path("corpus/ljspeech_sentences.csv");
  if (!corpus) GTEST_SKIP() << test::kNoShared;
  std::istringstream lines(read_file(*corpus, 16 << 20));
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find('|') + 1;
    const std::string written = line.substr(begin, line.find('|', begin) - begin);
    const std::string spoken = speak(written);
    expect_speakable(spoken);
    // Plain lower-case words: not abbreviations, not next to a hyphen.
    std::vector<std::string> plain;
    for (const std::string& word : words_of(written)) {
      const bool lower = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos;
      const bool abbreviated = written.find(word + ".") != std::string::npos || word == "c" ||
                               word == "p" || word == "x";
      if (lower && !abbreviated) plain.push_back(word);
    }
    EXPECT_TRUE(is_subsequence(plain, words_of(spoken))) << written << "\n" << spoken;
  }
}

TEST(SpokenForm, PlainWordsStayAsTheyAre) {
  for (const char* text :
       {"Good morning, everyone.", "It's a well-known fact; isn't it?", "Wait... what?",
        "The quick brown fox jumps over the lazy dog!", "She said: yes, they're here."}) {
    EXPECT_EQ(speak(text), text);
  }
}

TEST(SpokenForm, WhatIsSpokenIsSpokenTheSameAgain) {
  std::istringstream table(
      read_file(test::source_path("tests/text/golden/spoken_form.tsv"), 1 << 20));
  for (std::string line; std::getline(table, line);) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    const std::string once = speak(line.substr(0, tab));
    EXPECT_EQ(speak(once), once) << line;
  }
}

TEST(SpokenForm, SurvivesAnyBytes) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    expect_speakable(speak(test::random_bytes(seed, 200)));
    expect_speakable(speak(test::random_text(seed, 200)));
  }
  EXPECT_EQ(speak(""), "");
  EXPECT_EQ(speak(" \n\t "), "");
  EXPECT_EQ(speak("*** --- ###"), "");
}

TEST(SpokenForm, LongInputTakesTimeInProportion) {
  // What backtracking or looking ahead without a bound would never finish.
  for (const char* unit : {"a", "1", "a.", "1,",  "1.", "a@", "-",    "/", "(", "'",     "1-",
                           "I", "$", "x1", "A.B", ":",  "1:", "www.", "½", "é", "5 km ", "\xF0"}) {
    std::string text;
    while (text.size() < 20'000) text += unit;
    expect_speakable(speak(text));
  }
}

TEST(SpokenForm, WordsKnowWhereTheyWereRead) {
  const std::string written = "Pay €2.50 to Dr. Müller — now.";
  const SpokenForm form = english().speak(written);
  const auto source = [&](std::string_view word) {
    const auto found = std::ranges::find(form.words, word, &SpokenWord::text);
    EXPECT_NE(found, form.words.end()) << word;
    return written.substr(found->source.begin, found->source.end - found->source.begin);
  };
  EXPECT_EQ(source("Pay"), "Pay");
  EXPECT_EQ(source("euros"), "€2.50");
  EXPECT_EQ(source("Doctor"), "Dr.");
  EXPECT_EQ(source("Muller,"), "Müller");
  EXPECT_EQ(source("now."), "now");
  for (size_t i = 1; i < form.words.size(); ++i) {
    EXPECT_GE(form.words[i].source.begin, form.words[i - 1].source.begin);
  }
}

TEST(SpokenForm, ReportsWhatCannotBeSaid) {
  EXPECT_TRUE(english().speak("café — 5 € 👍 №").unspeakable.empty());
  const SpokenForm form = english().speak("a\xFF z \uE000");
  EXPECT_EQ(form.text(), "a z");
  EXPECT_EQ(form.unspeakable, (CodePointCounts{{0xE000, 1}, {kReplacementCharacter, 1}}));
}

TEST(SpokenForm, SaysAsAsked) {
  EXPECT_EQ(speak_as(SayAs::kCardinal, "1905"), "one thousand nine hundred five");
  EXPECT_EQ(speak_as(SayAs::kCardinal, "-12"), "minus twelve");
  EXPECT_EQ(speak_as(SayAs::kOrdinal, "12"), "twelfth");
  EXPECT_EQ(speak_as(SayAs::kYear, "1905"), "nineteen oh five");
  EXPECT_EQ(speak_as(SayAs::kDigits, "1905"), "one nine zero five");
  EXPECT_EQ(speak_as(SayAs::kCharacters, "A1-b"), "A one dash B");
  EXPECT_EQ(speak_as(SayAs::kFraction, "5/16"), "five sixteenths");
  EXPECT_EQ(speak_as(SayAs::kDate, "10/3/2024"), "October third, twenty twenty-four");
  EXPECT_EQ(speak_as(SayAs::kDate, "10/3/2024", "dmy"), "March tenth, twenty twenty-four");
  EXPECT_EQ(speak_as(SayAs::kDate, "2024-03", "ym"), "March twenty twenty-four");
  EXPECT_EQ(speak_as(SayAs::kTelephone, "5550199"), "five five five oh one nine nine");
  EXPECT_EQ(speak_as(SayAs::kCurrency, "$5.30"), "five dollars and thirty cents");
  EXPECT_EQ(speak_as(SayAs::kTime, "2:30pm"), "two thirty P M");
}

TEST(SpokenForm, WhatIsNotOfItsKindIsSaidAnyway) {
  EXPECT_EQ(speak_as(SayAs::kOrdinal, "many words"), "many words");
  EXPECT_EQ(speak_as(SayAs::kDate, "soon"), "soon");
  EXPECT_EQ(speak_as(SayAs::kDate, "31/31/2024"), speak("31/31/2024"));
  EXPECT_EQ(speak_as(SayAs::kDigits, "flight 12"), "flight one two");
}

}  // namespace
}  // namespace parley::text
