#include "pipeline/subtitles.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "pipeline/writers.h"
#include "tests/support.h"

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

TEST(Subtitles, ArrowsAreBrokenEvenAcrossWords) {
  Transcript transcript = said(" a-->b", 0, 1);
  for (const char* word : {" a", "-", "-", ">", "b ---> c"})
    transcript.segments[0].words.push_back({.word = word, .start = 0, .end = 1});
  EXPECT_EQ(text_of(make_cues(transcript, {})), "a->b -> c|");
  EXPECT_EQ(text_of(make_cues(said("x --->> y --", 0, 1), {})), "x ->> y --|");
}

}  // namespace
}  // namespace parley::pipeline
