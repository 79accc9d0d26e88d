#include "parley/pipeline/output/writers.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "parley/text/utf8.h"

namespace parley::pipeline {
namespace {

Segment segment(double start, double end, const std::string& text) {
  Segment made;
  made.start = start;
  made.end = end;
  made.text = text;
  return made;
}

Transcript transcript(std::vector<Segment> segments) {
  Transcript made;
  made.segments = std::move(segments);
  return made;
}

TEST(Writers, TxtHasALineForEachSegmentWithText) {
  EXPECT_EQ(write_txt(transcript(
                {segment(0, 1, " Hello."), segment(1, 2, "  "), segment(2, 3, " You. ")})),
            "Hello.\nYou.\n");
  EXPECT_EQ(write_txt({}), "");
}

TEST(Writers, ASegmentsTextStaysOnOneLine) {
  EXPECT_EQ(write_txt(transcript({segment(0, 1, " a\nb\r\n\nc\td")})), "a b   c d\n");
  std::string unseen = " a?b\x7F\u2028\u0085\u3000";
  unseen[2] = '\0';
  EXPECT_EQ(write_txt(transcript({segment(0, 1, unseen)})), "a b\n");
  EXPECT_EQ(write_srt(transcript({segment(0, 1, " a\n\nb")})),
            "1\n00:00:00,000 --> 00:00:01,000\na  b\n\n");
}

TEST(Writers, SrtCountsFromOneWithHours) {
  EXPECT_EQ(write_srt(transcript({segment(0, 1.5, " One."), segment(1.5, 2, ""),
                                  segment(3599.9996, 7325.0314, " Two.")})),
            "1\n00:00:00,000 --> 00:00:01,500\nOne.\n\n"
            "2\n01:00:00,000 --> 02:02:05,031\nTwo.\n\n");
}

TEST(Writers, VttShowsHoursWhenThereAreAny) {
  EXPECT_EQ(write_vtt(transcript({segment(1, 61.25, " One."), segment(3600, 3601, " Two.")})),
            "WEBVTT\n\n00:01.000 --> 01:01.250\nOne.\n\n01:00:00.000 --> 01:00:01.000\nTwo.\n\n");
  EXPECT_EQ(write_vtt({}), "WEBVTT\n\n");
}

TEST(Writers, CueTextCannotBeTakenForMarkup) {
  EXPECT_NE(write_vtt(transcript({segment(0, 1, " AT&T <i> x --> y")}))
                .find("\nAT&amp;T &lt;i> x -> y\n"),
            std::string::npos);
  EXPECT_NE(write_srt(transcript({segment(0, 1, " a ---> b --->> c")})).find("\na -> b ->> c\n"),
            std::string::npos);
}

TEST(Writers, TimesAreNeverNegativeOrNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(write_tsv(transcript({segment(-0.5, nan, "a"), segment(infinity, -infinity, "b")})),
            "start\tend\ttext\n0\t0\ta\n0\t0\tb\n");
}

TEST(Writers, TsvIsInMillisecondsAndKeepsItsColumns) {
  EXPECT_EQ(write_tsv(transcript({segment(0.0005, 12.3456, " a\tb")})),
            "start\tend\ttext\n1\t12346\ta b\n");
}

TEST(Writers, CsvQuotesAsRfc4180Says) {
  EXPECT_EQ(write_csv(transcript({segment(0, 1, " He said \"no\", twice.")})),
            "start,end,text\n0,1000,\"He said \"\"no\"\", twice.\"\n");
}

TEST(Writers, LrcHasHundredths) {
  EXPECT_EQ(write_lrc(transcript({segment(1.234, 2, " a"), segment(6001.999, 6003, " b")})),
            "[00:01.23]a\n[100:02.00]b\n");
}

TEST(Writers, SubtitlesWrapAtSpacesByCodePoints) {
  const Transcript long_line =
      transcript({segment(0, 1, " été à la plage incomparablement bleue")});
  EXPECT_EQ(write_srt(long_line, {.subtitles = {.max_line_width = 8}}),
            "1\n00:00:00,000 --> 00:00:01,000\nété à la\nplage\nincomparablement\nbleue\n\n");
  EXPECT_EQ(write_vtt(long_line, {.subtitles = {.max_line_width = 14}}),
            "WEBVTT\n\n00:00.000 --> 00:01.000\nété à la plage\nincomparablement\nbleue\n\n");
  EXPECT_EQ(write_txt(long_line, {.subtitles = {.max_line_width = 8}}),
            "été à la plage incomparablement bleue\n");
}

Transcript full_transcript() {
  Transcript full;
  full.duration = 12.34567;
  full.language = "en";
  full.language_probability = 0.9f;
  full.segments = {{.id = 0,
                    .start = 0.5,
                    .end = 2.25049,
                    .text = " Hi \"you\".",
                    .tokens = {1, 50257},
                    .avg_logprob = -0.25,
                    .compression_ratio = 1.5,
                    .no_speech_prob = 0.2f,
                    .temperature = 0.4f,
                    .words = {{.word = " Hi", .start = 0.5, .end = 1, .probability = 0.75f}}}};
  full.text = " Hi \"you\".";
  full.rejected = {{.start = 3, .end = 4, .text = "", .reason = "vad"}};
  return full;
}

TEST(Writers, JsonHasTheDocumentedFields) {
  const auto json =
      nlohmann::json::parse(write_json(full_transcript(), {.file = "a/b.wav", .model = "tiny"}));
  EXPECT_EQ(json, nlohmann::json::parse(R"({
    "file": "a/b.wav", "duration": 12.346, "language": "en", "language_probability": 0.9,
    "model": "tiny", "text": " Hi \"you\".",
    "segments": [{"id": 0, "start": 0.5, "end": 2.25, "text": " Hi \"you\".", "tokens": [1, 50257],
      "avg_logprob": -0.25, "compression_ratio": 1.5, "no_speech_prob": 0.2, "temperature": 0.4,
      "words": [{"word": " Hi", "start": 0.5, "end": 1.0, "probability": 0.75,
        "source": "measured"}]}],
    "rejected": [{"start": 3.0, "end": 4.0, "text": "", "reason": "vad"}]})"));
}

TEST(Writers, JsonlIsTheSameObjectOnOneLine) {
  const std::string line = write_jsonl(full_transcript(), {.file = "a"});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(nlohmann::json::parse(line),
            nlohmann::json::parse(write_json(full_transcript(), {.file = "a"})));
  EXPECT_EQ(line.find("{\"file\":\"a\",\"duration\":12.346,"), 0u);
}

TEST(Writers, JsonNumbersAreFiniteAndShort) {
  Transcript strange = full_transcript();
  strange.duration = std::numeric_limits<double>::infinity();
  strange.segments[0].avg_logprob = -std::numeric_limits<double>::infinity();
  strange.segments[0].no_speech_prob = std::numeric_limits<float>::quiet_NaN();
  strange.segments[0].temperature = 0.1f + 0.2f;
  const std::string text = write_jsonl(strange);
  EXPECT_EQ(text.find("null"), std::string::npos);
  EXPECT_NE(text.find("\"temperature\":0.3,"), std::string::npos) << text;
  EXPECT_NE(text.find("\"avg_logprob\":0.0,"), std::string::npos) << text;
}

TEST(Writers, EveryFormatIsValidUtf8WhateverTheBytes) {
  Transcript broken = full_transcript();
  broken.segments[0].text = " caf\xC3 \xFF\xE2\x82 ok";
  broken.segments[0].words[0].word = "\x80";
  broken.text = "\xF0\x9F";
  broken.language = std::string("\xC0");
  for (const Format& format : formats()) {
    const std::string out = format.write(broken, {.file = "na\xEFve.wav", .model = "\xFE"});
    EXPECT_TRUE(text::is_valid_utf8(out)) << format.name;
    EXPECT_NE(out.find("\uFFFD"), std::string::npos) << format.name;
  }
}

TEST(Writers, FormatsAreFoundByName) {
  EXPECT_EQ(formats().size(), 8u);
  for (const Format& format : formats()) EXPECT_EQ(find_format(format.name), &format);
  EXPECT_EQ(find_format("doc"), nullptr);
  EXPECT_EQ(find_format(""), nullptr);
}

}  // namespace
}  // namespace parley::pipeline
