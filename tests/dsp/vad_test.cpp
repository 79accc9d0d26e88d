#include "parley/dsp/vad.h"

#include <gtest/gtest.h>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

// Runs of the frame decisions in `pattern` ('s' speech, '.' not), one per 160 samples.
std::vector<SpeechRun> runs_of(const std::string& pattern, const SpeechDetectorOptions& options,
                               int64_t cut_from_end = 0) {
  SpeechDetector detector(160, options);
  std::vector<SpeechRun> runs;
  const auto take = [&] {
    while (const auto run = detector.next()) {
      if (!runs.empty() && runs.back().speech == run->speech)
        runs.back().end = run->end;
      else
        runs.push_back(*run);
    }
  };
  for (size_t i = 0; i < pattern.size(); ++i) {
    detector.push(pattern[i] == 's');
    if (i + 1 < pattern.size()) take();
  }
  detector.finish(static_cast<int64_t>(pattern.size()) * 160 - cut_from_end);
  take();
  return runs;
}

constexpr SpeechDetectorOptions kShort = {.min_speech = 0.03, .min_silence = 0.05};

TEST(SpeechDetector, SpeechBeginsAtItsFirstFrame) {
  EXPECT_EQ(runs_of("....ssss", kShort), (std::vector<SpeechRun>{{false, 640}, {true, 1280}}));
  EXPECT_EQ(runs_of("sss.....", kShort), (std::vector<SpeechRun>{{true, 480}, {false, 1280}}));
}

TEST(SpeechDetector, ShortBurstsAreSilenceAndShortPausesAreSpeech) {
  EXPECT_EQ(runs_of("..ss..ss..", kShort), (std::vector<SpeechRun>{{false, 1600}}));
  EXPECT_EQ(runs_of("sss....sss.....", kShort),
            (std::vector<SpeechRun>{{true, 1600}, {false, 2400}}));
}

TEST(SpeechDetector, WhatTheEndCutsShortIsSpeech) {
  EXPECT_EQ(runs_of("....s", kShort), (std::vector<SpeechRun>{{false, 640}, {true, 800}}));
  EXPECT_EQ(runs_of("ssss..", kShort), (std::vector<SpeechRun>{{true, 960}}));
}

TEST(SpeechDetector, TheStreamMayEndWithinAFrame) {
  EXPECT_EQ(runs_of("....", kShort, 100), (std::vector<SpeechRun>{{false, 540}}));
  EXPECT_EQ(runs_of("...sss", kShort, 100), (std::vector<SpeechRun>{{false, 480}, {true, 860}}));
  EXPECT_EQ(runs_of("s", kShort, 159), (std::vector<SpeechRun>{{true, 1}}));
  EXPECT_EQ(runs_of("", kShort), std::vector<SpeechRun>{});
}

TEST(SpeechDetector, RefusesSenselessOptions) {
  EXPECT_NE(test::error_of([] { SpeechDetector(0); }), "");
  EXPECT_NE(test::error_of([] { SpeechDetector(160, {.min_speech = -1}); }), "");
}

// Share of frames called speech.
double speech_share(const std::vector<float>& samples,
                    WebrtcVad::Sensitivity sensitivity = WebrtcVad::Sensitivity::kModerate) {
  WebrtcVad vad(sensitivity);
  size_t frames = 0, speech = 0;
  for (size_t at = 0; at + WebrtcVad::kFrame <= samples.size(); at += WebrtcVad::kFrame, ++frames) {
    speech += vad.process(std::span(samples).subspan(at).first<WebrtcVad::kFrame>());
  }
  return static_cast<double>(speech) / static_cast<double>(frames);
}

TEST(WebrtcVad, DigitalSilenceIsNotSpeech) {
  EXPECT_EQ(speech_share(std::vector<float>(160000)), 0);
}

TEST(WebrtcVad, StationaryNoiseIsMostlyNotSpeech) {
  EXPECT_LT(speech_share(test::noise(480000, 0.01, 1)), 0.15);
}

TEST(WebrtcVad, DoesNotTouchTheSamplesAndRepeatsItself) {
  const auto samples = test::noise(16000, 2, 1);  // beyond full scale
  const auto copy = samples;
  EXPECT_EQ(speech_share(samples), speech_share(samples));
  EXPECT_EQ(samples, copy);
}

TEST(WebrtcVad, HearsSpeech) {
  const auto path = test::shared_path("corpus/ljspeech_33/LJ001-0001.flac");
  if (!path) GTEST_SKIP() << test::kNoShared;
  AudioReader reader = AudioReader::open(*path);
  EXPECT_GT(speech_share(test::read_all(reader)), 0.7);
}

}  // namespace
}  // namespace parley::dsp
