// The sequential strategy where it goes beyond the published algorithm: with a detector, and at the
// end of the file. The published part: pilot_recording_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>

#include "parley/pipeline/stt/speech_map.h"
#include "parley/pipeline/stt/vad_model.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;

Segment segment(double start, double end) {
  Segment segment;
  segment.start = start;
  segment.end = end;
  return segment;
}

TEST(SpeechMap, SpeechIsPaddedAndShortPausesAreInIt) {
  const std::vector<Stretch> speech = {{20, 100}, {250, 300}, {900, 990}};
  EXPECT_EQ(padded(speech, 40, 300, 1000), (std::vector<Stretch>{{0, 340}, {860, 1000}}));
  EXPECT_EQ(padded(speech, 0, 50, 1000), speech);
  EXPECT_EQ(padded(speech, 100, 110, 1000),
            (std::vector<Stretch>{{0, 200}, {200, 400}, {800, 1000}}));
  EXPECT_TRUE(padded({}, 40, 300, 1000).empty());
  EXPECT_EQ(between({{0, 340}, {860, 1000}}, 1000), (std::vector<Stretch>{{340, 860}}));
  EXPECT_EQ(between({}, 1000), (std::vector<Stretch>{{0, 1000}}));
}

TEST(SpeechMap, KnowsSpeechThatNoSegmentCovers) {
  const std::vector<Stretch> speech = {{0, 500}, {800, 1000}, {1200, 1290}};
  const Stretch all{0, 3000};
  EXPECT_EQ(uncovered(speech, {}, all, 100), (std::vector<Stretch>{{0, 500}, {800, 1000}}));
  EXPECT_EQ(uncovered(speech, {segment(0, 3), segment(8.5, 11)}, all, 100),
            (std::vector<Stretch>{{300, 500}}));
  EXPECT_EQ(uncovered(speech, {segment(1, 2), segment(2, 3.9)}, all, 100),
            (std::vector<Stretch>{{0, 100}, {390, 500}, {800, 1000}}));
  EXPECT_EQ(uncovered(speech, {}, {350, 900}, 100), (std::vector<Stretch>{{350, 500}, {800, 900}}));
  EXPECT_TRUE(uncovered(speech, {segment(0, 30)}, all, 1).empty());
}

// Twenty seconds of silence, the clips, and so on.
struct Sequential : RandomModel {
  std::filesystem::path clips_in_silence() const {
    std::vector<float> samples;
    for (int i = 0; i < 3; ++i) {
      samples.resize(samples.size() + 20 * 16000);
      const std::vector<float> clip = test::read_all(clips());
      for (int j = 0; j <= i; ++j) samples.insert(samples.end(), clip.begin(), clip.end());
    }
    samples.resize(samples.size() + 7 * 16000 + 77);
    const auto path = folder.path() / "silence.wav";
    test::write_wav(path, samples);
    return path;
  }
  TranscribeOptions options(VadKind vad) const {
    return {.strategy = Strategy::kSequential,
            .vad = vad,
            .language = "en",
            .beam = 1,
            .temperatures = {0},
            .no_speech_threshold = 1};
  }
  Transcript run(const std::filesystem::path& path, const TranscribeOptions& options) {
    Transcriber transcriber(load("multilingual-80"), 1);
    Transcript transcript = transcriber.transcribe(dsp::AudioReader::open(path), options);
    windows = transcriber.timings().windows;
    return transcript;
  }
  int64_t windows = 0;
};

TEST_F(Sequential, NoSegmentEndsAfterTheFile) {
  std::vector<float> samples = test::read_all(long_file());
  for (const size_t length : {8.3 * 16000, 31.77 * 16000, 64.5 * 16000}) {
    samples.resize(length);
    const auto path = folder.path() / "cut.wav";
    test::write_wav(path, samples);
    for (const bool words : {false, true}) {
      TranscribeOptions asked = options(VadKind::kAuto);
      asked.word_timestamps = words;
      const Transcript transcript = run(path, asked);
      ASSERT_FALSE(transcript.segments.empty());
      for (const Segment& segment : transcript.segments) {
        EXPECT_LE(segment.end, transcript.duration);
        EXPECT_LE(segment.start, segment.end);
        for (const Word& word : segment.words) EXPECT_LE(word.end, transcript.duration);
      }
    }
  }
}

TEST_F(Sequential, WithoutADetectorItIsThePublishedAlgorithm) {
  const auto path = clips_in_silence();
  const Transcript unsaid = run(path, options(VadKind::kAuto));
  const Transcript off = run(path, options(VadKind::kOff));
  EXPECT_EQ(tokens_of(unsaid), tokens_of(off));
  EXPECT_TRUE(off.rejected.empty());
}

TEST_F(Sequential, ADetectorLimitsWhereItListens) {
  const auto path = clips_in_silence();
  const Transcript transcript = run(path, options(VadKind::kWebrtc));
  ASSERT_FALSE(transcript.segments.empty());
  std::vector<Rejected> skipped = transcript.rejected;
  std::erase_if(skipped, [](const Rejected& rejected) { return rejected.reason != "vad"; });
  ASSERT_GE(skipped.size(), 4u);
  EXPECT_EQ(skipped.front().start, 0);
  EXPECT_NEAR(skipped.front().end, 19.6, 0.5);
  EXPECT_DOUBLE_EQ(skipped.back().end, transcript.duration);
  for (const Rejected& gap : skipped) {
    for (const Segment& segment : transcript.segments)
      EXPECT_TRUE(segment.end <= gap.start + 1e-6 || segment.start >= gap.end - 1e-6)
          << segment.start << " " << segment.end;
  }
  double last = 0;
  for (const Rejected& rejected : transcript.rejected) {
    EXPECT_GE(rejected.start, last);
    last = rejected.start;
  }
}

TEST_F(Sequential, SilenceIsSkippedWhole) {
  const auto path = folder.path() / "silence.wav";
  test::write_wav(path, std::vector<float>(5 * 16000));
  const Transcript transcript = run(path, options(VadKind::kWebrtc));
  EXPECT_TRUE(transcript.segments.empty());
  ASSERT_EQ(transcript.rejected.size(), 1u);
  EXPECT_EQ(transcript.rejected[0].reason, "vad");
  EXPECT_EQ(windows, 0);
}

// A model that hears nothing at all: what the detector calls speech is heard again, a bounded
// number of times, and all of it is reported.
TEST_F(Sequential, SpeechThatTheModelSkipsIsHeardAgain) {
  const auto path = long_file();
  TranscribeOptions deaf = options(VadKind::kWebrtc);
  deaf.no_speech_threshold = 0;
  deaf.logprob_threshold = 0;
  const Transcript transcript = run(path, deaf);
  EXPECT_TRUE(transcript.segments.empty());
  const int64_t with_detector = windows;
  deaf.vad = VadKind::kOff;
  run(path, deaf);
  EXPECT_GT(with_detector, windows);
  EXPECT_LE(with_detector, 2 * windows + 2);
  double covered = 0;
  for (const Rejected& rejected : transcript.rejected) {
    EXPECT_NEAR(rejected.start, covered, 0.02);
    covered = rejected.end;
  }
  EXPECT_NEAR(covered, transcript.duration, 0.02);
}

// Whatever a random model leaves out of what the detector calls speech is reported.
TEST_F(Sequential, SpeechWithoutTextIsReported) {
  const auto path = long_file();
  const Transcript transcript = run(path, options(VadKind::kWebrtc));
  dsp::SpeechSegmenter segmenter(frame_classifier(options(VadKind::kWebrtc)));
  segmenter.push(test::read_all(path));
  segmenter.finish();
  const std::vector<Stretch> speech = stretches(segmenter.speech_in(0, segmenter.position()));
  std::vector<Segment> covered = transcript.segments;
  for (const Rejected& rejected : transcript.rejected)
    covered.push_back(segment(rejected.start, rejected.end));
  std::sort(covered.begin(), covered.end(),
            [](const Segment& a, const Segment& b) { return a.start < b.start; });
  EXPECT_TRUE(uncovered(padded(speech, 0, 50, 9000), covered, {0, 9000}, 105).empty());
}

}  // namespace
}  // namespace parley::pipeline
