#include "parley/pipeline/stt/invented_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "parley/dsp/audio_reader.h"

namespace parley::pipeline {
namespace {

constexpr float kThreshold = 0.6f;

dsp::SpeechSpan speech(double start, double end, float peak) {
  return {{std::llround(start * dsp::kSampleRate), std::llround(end * dsp::kSampleRate)}, peak};
}

// From 10 to 12 s.
Segment segment(std::string text, double avg_logprob, float no_speech_prob) {
  Segment made;
  made.start = 10;
  made.end = 12;
  made.text = std::move(text);
  made.avg_logprob = avg_logprob;
  made.no_speech_prob = no_speech_prob;
  return made;
}

std::string why(const Segment& segment, std::vector<dsp::SpeechSpan> speech,
                std::string_view before = "") {
  return std::string(why_invented(segment, speech, before, kThreshold));
}

TEST(InventedText, StockPhrasesAreKnownInAnyDress) {
  for (const char* text : {" Thank you.", "THANKS FOR WATCHING!", " you", "...", " [Music]", " ♪♪",
                           " Untertitel der Amara.org-Community", " Продолжение следует..."})
    EXPECT_TRUE(is_stock_phrase(text)) << text;
  for (const char* text : {" Thank you, Tom.", " You are late.", " 7", " Yes."})
    EXPECT_FALSE(is_stock_phrase(text)) << text;
}

TEST(InventedText, WhereNoSpeechWasFoundTextNeedsAGoodScore) {
  const std::vector<dsp::SpeechSpan> elsewhere = {speech(2, 9, 1)};
  EXPECT_EQ(why(segment(" It rains.", -0.8, 0.9f), elsewhere), "no_speech");
  EXPECT_EQ(why(segment(" It rains.", -0.2, 0.1f), elsewhere), "");  // whispered, perhaps
  EXPECT_EQ(why(segment(" Thank you.", -0.2, 0.1f), elsewhere), "no_speech");
  EXPECT_EQ(why(segment(" It rains.", -0.2, 0.1f), elsewhere, " It rains."), "no_speech");
  // Times of model and detector differ a little.
  EXPECT_EQ(why(segment(" Thank you.", -0.2, 0.1f), {speech(2, 9.9, 1)}), "");
}

TEST(InventedText, WhatWasSaidStays) {
  const std::vector<dsp::SpeechSpan> there = {speech(10, 12, 1)};
  EXPECT_EQ(why(segment(" Thank you.", -0.4, 0.7f), there), "");
  EXPECT_EQ(why(segment(" Thank you.", -0.9, 0.3f), there), "");
  EXPECT_EQ(why(segment(" the meeting.", -0.98, 0.75f), there), "");  // quiet, and right
  EXPECT_EQ(why(segment(" Thank you.", -0.9, 0.8f), there), "hallucination");
}

TEST(InventedText, AnUnsureDetectorIsNotEnoughForALowScore) {
  EXPECT_EQ(why(segment(" Okay.", -0.81, 0.88f), {speech(11, 11.2, 0.67f)}), "no_speech");
  EXPECT_EQ(why(segment(" Okay.", -0.81, 0.5f), {speech(11, 11.2, 0.67f)}), "");
}

TEST(InventedText, WithoutADetectorOnlyStockPhrasesOfALowScoreGo) {
  EXPECT_EQ(why(segment(" It rains.", -0.9, 0.9f), {}), "");
  EXPECT_EQ(why(segment(" Thank you.", -0.9, 0.9f), {}), "hallucination");
}

}  // namespace
}  // namespace parley::pipeline
