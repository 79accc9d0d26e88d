#include "parley/decoder/word_alignment.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"
#include "parley/tests/decoder/decoder_fixture.h"

namespace parley::decoder {
namespace {

using nlohmann::json;

std::vector<int32_t> start_sequence(const text::SpecialTokens& special) {
  std::vector<int32_t> start = {special.sot};
  if (special.multilingual) {
    start.push_back(special.language("en"));
    start.push_back(special.transcribe);
  }
  start.push_back(special.no_timestamps);
  return start;
}

AlignTask task_for(const json& facts, test::DecoderFixture& f) {
  text::SpecialTokens special = f.tokenizer.special();
  special.multilingual = f.golden.model.stage("decoder").config_bool("is_multilingual");
  return {.cross = f.listen(facts.at("clip")),
          .start = start_sequence(special),
          .texts = {facts.at("tokens").get<std::vector<int32_t>>()},
          .language = "en",
          .positions = facts.at("frames").get<int64_t>() / 2};
}

class AlignmentGolden : public testing::TestWithParam<const char*> {};

TEST_P(AlignmentGolden, WordsAndTimesEqualTheReference) {
  test::DecoderFixture f(GetParam());
  size_t words = 0;
  size_t whole = 0;
  for (const json& facts : f.golden.facts.at("word_alignments")) {
    const auto aligned = align_words(f.ctx, f.decoder, f.tokenizer, task_for(facts, f)).at(0);
    // Tokens at the end that are no whole code points are left out by the reference, not by us.
    size_t covered = 0;
    for (const json& word : facts.at("words")) covered += word.at("tokens").size();
    ASSERT_GE(aligned.size(), facts.at("words").size());
    if (covered == facts.at("tokens").size()) {
      ASSERT_EQ(aligned.size(), facts.at("words").size());
      ++whole;
    }
    for (size_t i = 0; i < facts.at("words").size(); ++i, ++words) {
      const json& word = facts.at("words")[i];
      EXPECT_EQ(aligned[i].text, word.at("word").get<std::string>());
      EXPECT_EQ(aligned[i].end - aligned[i].begin, word.at("tokens").size());
      EXPECT_NEAR(aligned[i].from, word.at("start").get<double>(), 1e-9) << facts.at("clip");
      EXPECT_NEAR(aligned[i].to, word.at("end").get<double>(), 1e-9) << facts.at("clip");
      EXPECT_NEAR(aligned[i].probability, word.at("probability").get<double>(), 1e-4);
    }
  }
  EXPECT_GT(words, 40u);
  EXPECT_GT(whole, 10u);
}

TEST_P(AlignmentGolden, WordsAreInOrderAtAnyPrecisionAndNumberOfThreads) {
  for (const int threads : {1, 2}) {
    test::DecoderFixture f(GetParam(), nn::Precision::kAuto, threads);
    for (const json& facts : f.golden.facts.at("word_alignments")) {
      const AlignTask task = task_for(facts, f);
      double last = 0;
      size_t next = 0;
      const auto words = align_words(f.ctx, f.decoder, f.tokenizer, task).at(0);
      for (const AlignedWord& word : words) {
        EXPECT_EQ(word.begin, next);
        EXPECT_GE(word.from, last);
        EXPECT_GE(word.to, word.from);
        EXPECT_LE(word.to, 0.02 * static_cast<double>(task.positions));
        last = word.to;
        next = word.end;
      }
      EXPECT_EQ(next, task.texts[0].size());
    }
  }
}

TEST_P(AlignmentGolden, SegmentsCutTheWordsAndNotTheTimes) {
  test::DecoderFixture f(GetParam());
  for (const json& facts : f.golden.facts.at("word_alignments")) {
    AlignTask task = task_for(facts, f);
    const auto whole = align_words(f.ctx, f.decoder, f.tokenizer, task).at(0);
    if (whole.size() < 3) continue;
    // The same tokens as three segments, the second one empty.
    const std::vector<int32_t> text = task.texts[0];
    const auto half = text.begin() + static_cast<int64_t>(whole[2].begin);
    task.texts = {{text.begin(), half}, {}, {half, text.end()}};
    const auto parts = align_words(f.ctx, f.decoder, f.tokenizer, task);
    ASSERT_EQ(parts.size(), 3u);
    ASSERT_EQ(parts[0].size(), 2u);
    EXPECT_TRUE(parts[1].empty());
    ASSERT_EQ(parts[2].size(), whole.size() - 2);
    for (size_t i = 0; i < whole.size(); ++i) {
      const AlignedWord& part = i < 2 ? parts[0][i] : parts[2][i - 2];
      EXPECT_EQ(part.text, whole[i].text);
      EXPECT_EQ(part.from, whole[i].from);
      EXPECT_EQ(part.to, whole[i].to);
      EXPECT_EQ(part.probability, whole[i].probability);
      EXPECT_EQ(part.begin, whole[i].begin - (i < 2 ? 0 : whole[2].begin));
    }
  }
}

TEST_P(AlignmentGolden, TakesTheLeastAndTheMost) {
  test::DecoderFixture f(GetParam());
  AlignTask task = task_for(f.golden.facts.at("word_alignments").at(0), f);
  const auto align = [&](const AlignTask& t) {
    return align_words(f.ctx, f.decoder, f.tokenizer, t);
  };
  AlignTask other = task;
  other.texts = {};
  EXPECT_TRUE(align(other).empty());
  other.texts = {{}};
  EXPECT_TRUE(align(other).at(0).empty());
  other = task;
  other.positions = 0;
  EXPECT_TRUE(align(other).at(0).empty());
  for (const int64_t positions : {1, 2, 3, 4, 1500}) {
    task.positions = positions;
    const auto words = align(task).at(0);
    ASSERT_FALSE(words.empty());
    EXPECT_LT(words.back().to, 0.02 * static_cast<double>(positions));
  }
  task.texts[0].assign(448 - task.start.size() - 1, f.tokenizer.encode("a").at(0));
  EXPECT_FALSE(align(task).at(0).empty());
  task.texts[0].push_back(task.texts[0].back());
  EXPECT_THROW(align(task), Error);
}

INSTANTIATE_TEST_SUITE_P(
    Models, AlignmentGolden, testing::Values("multilingual-80", "english-128"),
    [](const auto& info) {
      return std::string(info.param).substr(0, std::string(info.param).find('-'));
    });

std::vector<std::string> merged(const std::vector<std::string>& texts) {
  std::vector<AlignedWord> words;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto time = static_cast<double>(i);
    words.push_back({.text = texts[i], .begin = i, .end = i + 1, .from = time, .to = time + 1});
  }
  merge_punctuation(words);
  std::vector<std::string> out;
  for (const AlignedWord& word : words) {
    out.push_back(word.text + "@" + std::to_string(word.begin) + "-" + std::to_string(word.end) +
                  "@" + std::to_string(static_cast<int>(word.from)));
  }
  return out;
}

TEST(MergePunctuation, JoinsItToTheWordsThatItBelongsTo) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(merged({" Hello", ",", " (", "you", ")", "."}),
            (Words{" Hello,@0-2@0", " (you).@2-6@3"}));
  EXPECT_EQ(merged({" \"", "One", "\"", " -", "two"}), (Words{" \"One\"@0-3@1", " -two@3-5@4"}));
  EXPECT_EQ(merged({"。", "一", "、", "二", "。"}),
            (Words{"。@0-1@0", "一、@1-3@1", "二。@3-5@3"}));
  EXPECT_EQ(merged({}), Words{});
}

}  // namespace
}  // namespace parley::decoder
