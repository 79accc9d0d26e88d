#include "parley/pipeline/output/subtitles.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parley/core/base/file.h"
#include "parley/pipeline/output/writers.h"
#include "parley/tests/support.h"

namespace parley::pipeline {
namespace {

struct SubtitlesGolden : testing::Test {
  nlohmann::json facts =
      nlohmann::json::parse(read_file(test::source_path("tests/golden/subtitles.json"), 1 << 20));
  Transcript transcript;

  SubtitlesGolden() {
    for (const auto& s : facts.at("segments")) {
      Segment& segment = transcript.segments.emplace_back();
      segment.start = s.at("start");
      segment.end = s.at("end");
      segment.text = s.at("text");
      for (const auto& w : s.at("words")) {
        Word& word = segment.words.emplace_back();
        word.word = w.at("word");
        word.start = w.at("start");
        word.end = w.at("end");
      }
    }
  }
};

TEST_F(SubtitlesGolden, FilesEqualThoseOfThePublishedWriters) {
  ASSERT_GT(facts.at("cases").size(), 5u);
  for (const auto& c : facts.at("cases")) {
    const auto& options = c.at("options");
    const WriterOptions rules{
        .subtitles = {.max_line_width = options.value("max_line_width", 0),
                      .max_line_count = options.value("max_line_count", 0),
                      .highlight_words = options.value("highlight_words", false)}};
    EXPECT_EQ(write_srt(transcript, rules), c.at("srt").get<std::string>()) << options;
    EXPECT_EQ(write_vtt(transcript, rules), c.at("vtt").get<std::string>()) << options;
  }
}

std::string text_of(const std::vector<Cue>& cues) {
  std::string text;
  for (const Cue& cue : cues) {
    for (const CueWord& word : cue.words) text += word.text;
    text += '|';
  }
  return text;
}

TEST_F(SubtitlesGolden, CuesKeepToTheirTimes) {
  const std::vector<Cue> plain = make_cues(transcript, {});
  const std::vector<Cue> cues = make_cues(transcript, {.min_cue = 1.5, .max_cue = 3});
  EXPECT_GT(cues.size(), plain.size());
  for (size_t i = 0; i < cues.size(); ++i) {
    const double length = cues[i].end - cues[i].start;
    EXPECT_LE(length, 3 + 1e-9) << i;
    if (i + 1 == cues.size()) continue;
    EXPECT_LE(cues[i].end, cues[i + 1].start + 1e-9);
    EXPECT_TRUE(length >= 1.5 - 1e-9 || cues[i].end == cues[i + 1].start) << i;
  }
  EXPECT_GE(cues.back().end - cues.back().start, 1.5 - 1e-9);
}

Transcript said(const std::string& text, double start, double end) {
  Transcript transcript;
  Segment& segment = transcript.segments.emplace_back();
  segment.start = start;
  segment.end = end;
  segment.text = text;
  return transcript;
}

TEST(Subtitles, SegmentsWithoutWordsAreCutByTheirLetters) {
  const auto cues = make_cues(said(" aaaa bbbb cccc dddd", 10, 29), {.max_cue = 10});
  EXPECT_EQ(text_of(cues), "aaaa bbbb|cccc dddd|");
  ASSERT_EQ(cues.size(), 2u);
  EXPECT_NEAR(cues[0].end, 19, 1e-9);
  EXPECT_NEAR(cues[1].start, 19, 1e-9);
  EXPECT_EQ(text_of(make_cues(said(" a  b ", 0, 1), {})), "a  b|");
  EXPECT_EQ(text_of(make_cues(said("", 0, 1), {})), "");
  EXPECT_EQ(text_of(make_cues({}, {})), "");
}

std::vector<std::string> lines_of(const std::string& text, int width) {
  const std::vector<Cue> cues = make_cues(said(text, 0, 1), {.max_line_width = width});
  std::vector<std::string> lines = {""};
  for (const CueWord& word : cues.at(0).words) {
    if (word.text[0] == '\n') lines.emplace_back();
    lines.back() += word.text.substr(word.text[0] == '\n' ? 1 : 0);
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Subtitles, LinesAreBrokenInScriptsWithoutSpaces) {
  EXPECT_EQ(lines_of("東京の大会で、彼女はきゅうに走り出した。", 8),
            (Lines{"東京の大会で、彼", "女はきゅうに走り", "出した。"}));
  // Neither punctuation nor a small kana begins a line, nor does a bracket end one.
  EXPECT_EQ(lines_of("明日は晴れです。でも", 7), (Lines{"明日は晴れで", "す。でも"}));
  EXPECT_EQ(lines_of("今日は「はい」と", 4), (Lines{"今日は", "「はい」", "と"}));
  EXPECT_EQ(lines_of("これはファックス", 5), (Lines{"これは", "ファックス"}));
  EXPECT_EQ(lines_of("今天的天气很好，我们去公园散步吧。", 6),
            (Lines{"今天的天气很", "好，我们去公", "园散步吧。"}));
  // Thai by its words; marks above and below letters take no place of their own.
  EXPECT_EQ(lines_of("สวัสดีครับผมชื่อสมชาย", 8), (Lines{"สวัสดีครับ", "ผมชื่อ", "สมชาย"}));
  EXPECT_EQ(lines_of("안녕하세요 여러분 반갑습니다", 8),
            (Lines{"안녕하세요", "여러분", "반갑습니다"}));
  EXPECT_EQ(lines_of("Das ist ein Satz mit Worten", 10),
            (Lines{"Das ist", "ein Satz", "mit Worten"}));
  EXPECT_EQ(lines_of("Sonyの新しいPlayStationです", 8),
            (Lines{"Sonyの新しい", "PlayStation", "です"}));
}

TEST(Subtitles, CuesAreCutInScriptsWithoutSpaces) {
  const auto cues = make_cues(said("今天的天气很好", 0, 7), {.max_cue = 3});
  EXPECT_EQ(text_of(cues), "今天的|天气很|好|");
}

TEST(Subtitles, ArrowsAreBrokenEvenAcrossWords) {
  Transcript transcript = said(" a-->b", 0, 1);
  for (const char* word : {" a", "-", "-", ">", "b ---> c"})
    transcript.segments[0].words.push_back({.word = word, .start = 0, .end = 1});
  EXPECT_EQ(text_of(make_cues(transcript, {})), "a->b -> c|");
  EXPECT_EQ(text_of(make_cues(said("x --->> y --", 0, 1), {})), "x ->> y --|");
}

}  // namespace
}  // namespace parley::pipeline
