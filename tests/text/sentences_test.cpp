#include "parley/text/spoken/sentences.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "parley/core/base/error.h"
#include "parley/tests/text/golden.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

std::vector<std::string> texts(std::string_view text, size_t max_bytes = 2000) {
  std::vector<std::string> result;
  for (const Sentence& sentence : split_sentences(text, max_bytes))
    result.push_back(sentence.text());
  return result;
}

using Texts = std::vector<std::string>;

size_t bytes(std::string_view text) { return text.size(); }

std::string without_space(std::string_view text) {
  std::string result;
  std::ranges::copy_if(text, std::back_inserter(result),
                       [](char c) { return c != ' ' && (c < '\t' || c > '\r'); });
  return result;
}

// A text with all that makes splitting hard.
std::string hard_text(unsigned seed) {
  constexpr const char* kParts[] = {"Dr. Smith ",
                                    "came at 5 p.m. ",
                                    "yesterday. ",
                                    "“Why?” he asked. ",
                                    "It cost $3.50! ",
                                    "e.g. this\n",
                                    "\n\n",
                                    "the U.S. army ",
                                    "No. 5 ",
                                    "...and then ",
                                    "。日本語。",
                                    "(See p. 5.) ",
                                    "\xF0\x9F",
                                    "😀 ",
                                    "1. First ",
                                    "J. R. Smith ",
                                    "end.\r\n\r\n",
                                    "\n- item",
                                    "\n",
                                    "\n2. ",
                                    "word ",
                                    "longerword ",
                                    "?! ",
                                    "etc. The ",
                                    "\t",
                                    "\xFF",
                                    "Mr. "};
  std::minstd_rand random(seed);
  std::string text;
  for (int i = 0; i < 60; ++i) text += kParts[random() % std::size(kParts)];
  return text;
}

TEST(Sentences, EndAtPeriodsThatEndThem) {
  EXPECT_EQ(texts("Hello there. How are you? Fine!"),
            (Texts{"Hello there.", "How are you?", "Fine!"}));
  EXPECT_EQ(texts("No end"), Texts{"No end"});
  EXPECT_EQ(texts(""), Texts{});
  EXPECT_EQ(texts(" \n "), Texts{});
  EXPECT_EQ(texts("Wait... What? Well... maybe."), (Texts{"Wait...", "What?", "Well... maybe."}));
  EXPECT_EQ(texts("Really?! Yes."), (Texts{"Really?!", "Yes."}));
  EXPECT_EQ(texts("日本語です。次の文。"), (Texts{"日本語です。", "次の文。"}));
}

TEST(Sentences, AbbreviationsNumbersAndInitialsEndNothing) {
  for (const char* text :
       {"Dr. Smith met Mr. and Mrs. Jones.", "It is 3.14 or 2.5 million.",
        "See p. 5 and No. 7, e.g. Fig. 2.", "J. R. R. Tolkien wrote it.",
        "The U.S. Army came at 5 p.m. sharp.", "Acme Inc. Europe grew.",
        "Apples, pears, etc. were sold.", "1. First of all this.", "On Jan. 5 we met Prof. Lee.",
        "Visit www.example.com today.", "On Tue. Jan. 3 we met.", "Open on Sat. 5 May.",
        "Smith et al. found it.", "George W. Bush spoke."}) {
    EXPECT_EQ(texts(text), Texts{text});
  }
}

TEST(Sentences, AbbreviationsEndASentenceBeforeAnother) {
  EXPECT_EQ(texts("He left at 5 p.m. The door was open."),
            (Texts{"He left at 5 p.m.", "The door was open."}));
  EXPECT_EQ(texts("Come at 5 p.m. Let's go."), (Texts{"Come at 5 p.m.", "Let's go."}));
  EXPECT_EQ(texts("Come at 5 p.m. Monday."), Texts{"Come at 5 p.m. Monday."});
  EXPECT_EQ(texts("They live in the U.S. It is large."),
            (Texts{"They live in the U.S.", "It is large."}));
  EXPECT_EQ(texts("We sell nuts, etc. You pay."), (Texts{"We sell nuts, etc.", "You pay."}));
  EXPECT_EQ(texts("I said no. That was it."), (Texts{"I said no.", "That was it."}));
}

TEST(Sentences, QuotesAndBracketsBelongToTheirSentence) {
  EXPECT_EQ(texts("“Go!” he said. “Now.” They left."),
            (Texts{"“Go!” he said.", "“Now.”", "They left."}));
  EXPECT_EQ(texts("(It rained.) We went \"home.\" Then slept."),
            (Texts{"(It rained.)", "We went \"home.\"", "Then slept."}));
}

TEST(Sentences, BlankLinesEndParagraphs) {
  const std::vector<Sentence> sentences =
      split_sentences("A heading\n\nOne line\nand the next. End.\n \nLast");
  ASSERT_EQ(sentences.size(), 4u);
  EXPECT_EQ(sentences[0].text(), "A heading");
  EXPECT_TRUE(sentences[0].ends_paragraph);
  EXPECT_EQ(sentences[1].text(), "One line\nand the next.");
  EXPECT_FALSE(sentences[1].ends_paragraph);
  EXPECT_TRUE(sentences[2].ends_paragraph);
  EXPECT_TRUE(sentences[3].ends_paragraph);
}

TEST(Sentences, KeepEveryWordInOrderAndKnowTheirPlace) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    const std::string text = hard_text(seed);
    for (const size_t max_bytes : {size_t{4}, size_t{40}, size_t{2000}}) {
      std::string joined;
      size_t end = 0;
      for (const Sentence& sentence : split_sentences(text, max_bytes)) {
        EXPECT_LE(sentence.bytes.size(), max_bytes);
        EXPECT_GE(sentence.source.begin, end);
        end = sentence.source.end;
        EXPECT_EQ(text.substr(sentence.source.begin, end - sentence.source.begin), sentence.bytes);
        EXPECT_TRUE(is_valid_utf8(sentence.text()));
        joined += sentence.bytes;
      }
      EXPECT_EQ(without_space(joined), without_space(text)) << "seed " << seed;
    }
  }
}

TEST(Sentences, ListItemsStandAlone) {
  EXPECT_EQ(texts("We need:\n- salt\n- e.g. two\nlarge eggs\n1. Mix\nb) Bake"),
            (Texts{"We need:", "- salt", "- e.g. two\nlarge eggs", "1. Mix", "b) Bake"}));
}

TEST(SentenceStream, CutsOfTheInputDoNotMatter) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    const std::string text = hard_text(seed);
    for (const size_t max_bytes : {size_t{30}, size_t{2000}}) {
      const std::vector<Sentence> expected = split_sentences(text, max_bytes);
      for (const size_t piece : {size_t{1}, size_t{7}, size_t{64}}) {
        SentenceStream stream(max_bytes);
        std::vector<Sentence> sentences;
        const auto drain = [&] {
          while (auto sentence = stream.next()) sentences.push_back(*sentence);
        };
        for (size_t at = 0; at < text.size(); at += piece) {
          stream.push(std::string_view(text).substr(at, piece));
          drain();
        }
        stream.finish();
        drain();
        ASSERT_EQ(sentences.size(), expected.size()) << "seed " << seed << " piece " << piece;
        for (size_t i = 0; i < sentences.size(); ++i) {
          EXPECT_EQ(sentences[i].bytes, expected[i].bytes);
          EXPECT_EQ(sentences[i].source.begin, expected[i].source.begin);
          EXPECT_EQ(sentences[i].ends_sentence, expected[i].ends_sentence);
          EXPECT_EQ(sentences[i].ends_paragraph, expected[i].ends_paragraph);
        }
      }
    }
  }
}

TEST(SentenceStream, ASentenceComesWithTheFirstCharacterAfterIt) {
  SentenceStream stream;
  stream.push("Good morning.");
  EXPECT_FALSE(stream.next()) << "\"Good morning.com\" is possible";
  stream.push(" ");
  EXPECT_FALSE(stream.next()) << "so is \"Good morning. said\"";
  stream.push("It ");
  const auto sentence = stream.next();
  ASSERT_TRUE(sentence);
  EXPECT_EQ(sentence->text(), "Good morning.");
  EXPECT_FALSE(stream.next());
  stream.finish();
  ASSERT_TRUE(stream.next());
  EXPECT_THROW(stream.push("more"), Error);
}

TEST(SentenceStream, APauseEndsWhatIsThere) {
  const auto said = [](std::string_view text, Pause pause) {
    SentenceStream stream;
    stream.push(text);
    stream.pause(pause);
    std::string all;
    while (auto sentence = stream.next()) {
      EXPECT_TRUE(sentence->ends_sentence);
      EXPECT_FALSE(sentence->ends_paragraph);
      all += sentence->text() + "|";
    }
    return all;
  };
  EXPECT_EQ(said("First.\n", Pause::kShort), "First.|");
  EXPECT_EQ(said("First.\r\n", Pause::kShort), "First.|");
  EXPECT_EQ(said("Is it “so?”\n", Pause::kShort), "Is it “so?”|");
  EXPECT_EQ(said("One. Two.\n", Pause::kShort), "One.|Two.|");
  EXPECT_EQ(said("Talk to Dr.\n", Pause::kShort), "") << "Smith";
  EXPECT_EQ(said("The first\n", Pause::kShort), "") << "line of a paragraph";
  EXPECT_EQ(said("First.", Pause::kShort), "") << "com";
  EXPECT_EQ(said("Talk to Dr.\n", Pause::kLong), "Talk to Dr.|");
  EXPECT_EQ(said("The first\n", Pause::kLong), "The first|");
  EXPECT_EQ(said("One. The fir", Pause::kLong), "One.|The fir|");
  EXPECT_EQ(said("", Pause::kLong), "");
}

// A pause is over with the next text: hard-wrapped paragraphs stay whole.
TEST(SentenceStream, TextAfterAPauseIsReadAsEver) {
  SentenceStream stream;
  stream.push("The first\n");
  stream.pause(Pause::kShort);
  EXPECT_FALSE(stream.next());
  stream.push("line goes on.\nOne more");
  stream.pause(Pause::kShort);
  const auto sentence = stream.next();
  ASSERT_TRUE(sentence);
  EXPECT_EQ(sentence->text(), "The first\nline goes on.");
  EXPECT_FALSE(stream.next());
  stream.pause(Pause::kLong);
  EXPECT_TRUE(stream.next());
  stream.push(" word");
  EXPECT_FALSE(stream.next());
}

TEST(Sentences, MarkdownBlocksStandAlone) {
  EXPECT_EQ(texts("# Heading\nText goes\non.\n## Next\nMore"),
            (Texts{"# Heading", "Text goes\non.", "## Next", "More"}));
  EXPECT_EQ(texts("Title\n=====\nText"), (Texts{"Title", "=====\nText"}));
  EXPECT_EQ(texts("So:\n```sh\nls\n```\nDone"), (Texts{"So:", "```sh", "ls", "```", "Done"}));
  EXPECT_EQ(texts("| a | b |\n|---|---|\n| c | d |"),
            (Texts{"| a | b |", "|---|---|", "| c | d |"}));
}

TEST(SentenceStream, AMegabyteStreams) {
  std::string text;
  while (text.size() < 1'000'000) text += hard_text(static_cast<unsigned>(text.size()));
  SentenceStream stream;
  stream.push(std::string_view(text).substr(0, 4096));
  EXPECT_TRUE(stream.next()) << "after the first chunk";
  for (size_t at = 4096; at < text.size(); at += 4096)
    stream.push(std::string_view(text).substr(at, 4096));
  stream.finish();
  size_t count = 0;
  while (stream.next()) ++count;
  EXPECT_GT(count, 5000u);
}

TEST(CutToLimit, PrefersClausesThenWordsThenCuts) {
  using Pieces = std::vector<std::string_view>;
  EXPECT_EQ(cut_to_limit("all of it", 9, bytes), Pieces{"all of it"});
  EXPECT_EQ(cut_to_limit("one two, three four", 12, bytes), (Pieces{"one two, ", "three four"}));
  EXPECT_EQ(cut_to_limit("one two three", 8, bytes), (Pieces{"one two ", "three"}));
  EXPECT_EQ(cut_to_limit("abcdefgh", 3, bytes), (Pieces{"abc", "def", "gh"}));
  EXPECT_EQ(cut_to_limit("aéé", 2, bytes), (Pieces{"a", "é", "é"}));
  EXPECT_EQ(cut_to_limit("éa", 1, bytes), (Pieces{"é", "a"})) << "a code point is never cut";
  EXPECT_EQ(cut_to_limit("", 3, bytes), Pieces{});
}

// Balanced pieces, at places where a speaker might breathe.
TEST(CutToLimit, PrefersTheMiddleAndNaturalPlaces) {
  using Pieces = std::vector<std::string_view>;
  EXPECT_EQ(cut_to_limit("aa bb cc dd ee ff gg hh", 20, bytes),
            (Pieces{"aa bb cc dd ", "ee ff gg hh"}));
  EXPECT_EQ(cut_to_limit("He came home early and the dog was glad", 30, bytes),
            (Pieces{"He came home early ", "and the dog was glad"}));
  EXPECT_EQ(cut_to_limit("Some sat under the roof of the barn today", 35, bytes),
            (Pieces{"Some sat under the roof ", "of the barn today"}));
  EXPECT_EQ(cut_to_limit("One two, three four five six, seven", 30, bytes),
            (Pieces{"One two, ", "three four five six, seven"}));
  EXPECT_EQ(halves("one two three four"), (Pieces{"one two ", "three four"}));
  EXPECT_EQ(halves("word"), Pieces{"word"});
}

TEST(CutToLimit, PiecesFitAndJoinToTheText) {
  const auto tokens = [](std::string_view text) { return (text.size() + 2) / 3; };
  for (unsigned seed = 1; seed <= 50; ++seed) {
    const std::string text = hard_text(seed);
    for (const size_t limit : {size_t{2}, size_t{10}, size_t{100}}) {
      std::string joined;
      for (const std::string_view piece : cut_to_limit(text, limit, tokens)) {
        std::string_view counted = piece;
        while (!counted.empty() &&
               std::string_view(" \t\r\n").find(counted.back()) != std::string_view::npos) {
          counted.remove_suffix(1);
        }
        EXPECT_LE(tokens(counted), limit);
        joined += piece;
      }
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(CutToLimit, AHundredThousandCharactersWithoutASpace) {
  const std::string text(100'000, 'a');
  const auto pieces = cut_to_limit(text, 600, bytes);
  EXPECT_EQ(pieces.size(), 167u);
  EXPECT_EQ(split_sentences(text).size(), 50u);
}

}  // namespace
}  // namespace parley::text
