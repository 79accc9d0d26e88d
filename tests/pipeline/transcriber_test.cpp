#include "pipeline/transcriber.h"

#include <gtest/gtest.h>
#include <sndfile.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "stage/convert.h"
#include "tests/support.h"

namespace parley::pipeline {
namespace {

void write_wav(const std::filesystem::path& path, const std::vector<float>& samples) {
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
}

std::vector<float> read_all(const std::filesystem::path& path) {
  auto reader = dsp::AudioReader::open(path);
  std::vector<float> samples;
  std::vector<float> block(16000);
  while (const size_t count = reader.read(block))
    samples.insert(samples.end(), block.begin(), block.begin() + static_cast<int64_t>(count));
  return samples;
}

// A tiny random model: its text means nothing, everything else is real.
struct RandomModel : testing::Test {
  test::TemporaryFolder folder;
  std::shared_ptr<const SpeechModel> load(const std::string& name,
                                          nn::Precision precision = nn::Precision::kF32) {
    const auto target = folder.path() / name;
    if (!std::filesystem::exists(target)) {
      stage::convert(test::source_path("tests/golden/whisper/" + name), target,
                     {.weights = stage::WeightStorage::kF32});
    }
    return SpeechModel::load(target, precision, 1);
  }
  static std::filesystem::path clips() {
    return test::source_path("tests/golden/whisper/clips.wav");
  }
  static std::vector<std::vector<int32_t>> tokens_of(const Transcript& transcript) {
    std::vector<std::vector<int32_t>> tokens;
    for (const Segment& segment : transcript.segments) tokens.push_back(segment.tokens);
    return tokens;
  }
  // Ninety seconds of the clips at changing levels, with pauses.
  std::filesystem::path long_file() const {
    const std::vector<float> clip = read_all(clips());
    std::vector<float> samples;
    std::mt19937 random(4);
    while (samples.size() < 90 * 16000) {
      const float gain = 0.4f + static_cast<float>(random() % 100) / 200.f;
      for (const float value : clip) samples.push_back(gain * value);
      samples.resize(samples.size() + random() % 24000);
    }
    const auto path = folder.path() / "long.wav";
    write_wav(path, samples);
    return path;
  }
};

TEST_F(RandomModel, SegmentsAreOrderedAndInsideTheFile) {
  const auto path = long_file();
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(load("multilingual-80"), 1);
    std::vector<Segment> delivered;
    const Transcript transcript = transcriber.transcribe(
        dsp::AudioReader::open(path),
        {.strategy = strategy,
         .language = "en",
         .beam = 1,
         .temperatures = {0},
         .no_speech_threshold = 2},
        {.segment = [&](const Segment& segment) { delivered.push_back(segment); }});
    ASSERT_FALSE(transcript.segments.empty());
    ASSERT_EQ(delivered.size(), transcript.segments.size());
    double last = 0;
    std::string text;
    for (size_t i = 0; i < transcript.segments.size(); ++i) {
      const Segment& segment = transcript.segments[i];
      EXPECT_EQ(segment.id, static_cast<int64_t>(i));
      EXPECT_EQ(delivered[i].tokens, segment.tokens);
      EXPECT_LE(segment.start, segment.end);
      EXPECT_GE(segment.start, last - 1e-6);
      EXPECT_LE(segment.end,
                transcript.duration +
                    30);  // the sequential strategy takes what the model says, as published
      last = segment.start;
      text += segment.text;
    }
    EXPECT_EQ(text, transcript.text);
    EXPECT_GT(transcriber.timings().windows, 2);
    EXPECT_GT(transcriber.timings().tokens, 0);
  }
}

TEST_F(RandomModel, TextDoesNotDependOnBatchOrThreads) {
  const auto path = long_file();
  const auto run = [&](int batch, int threads) {
    Transcriber transcriber(load("multilingual-80"), threads);
    return tokens_of(transcriber.transcribe(
        dsp::AudioReader::open(path),
        {.language = "en", .beam = 2, .temperatures = {0, 0.6f}, .batch = batch}));
  };
  const auto expected = run(1, 1);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(run(3, 1), expected);
  EXPECT_EQ(run(8, 2), expected);
}

TEST_F(RandomModel, DetectsTheLanguageAndRefusesUnknownOnes) {
  Transcriber transcriber(load("multilingual-80"), 1);
  const Transcript heard = transcriber.transcribe(
      dsp::AudioReader::open(clips()), {.vad = VadKind::kOff, .beam = 1, .temperatures = {0}});
  EXPECT_FALSE(heard.language.empty());
  EXPECT_GT(heard.language_probability, 0.f);
  EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()), {.language = "xx"}), Error);
}

TEST_F(RandomModel, AnEnglishModelRefusesOtherLanguagesAndTranslation) {
  Transcriber transcriber(load("english-128"), 1);
  EXPECT_EQ(transcriber.model().multilingual, false);
  EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()), {.language = "de"}), Error);
  EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()), {.task = Task::kTranslate}),
               Error);
  EXPECT_EQ(
      transcriber.transcribe(dsp::AudioReader::open(clips()), {.beam = 1, .temperatures = {0}})
          .language,
      "en");
}

TEST_F(RandomModel, SilenceGivesNoTextAndIsReported) {
  const auto path = folder.path() / "silence.wav";
  write_wav(path, std::vector<float>(5 * 16000));
  Transcriber transcriber(load("english-128"), 1);
  const Transcript transcript = transcriber.transcribe(dsp::AudioReader::open(path));
  EXPECT_TRUE(transcript.segments.empty());
  ASSERT_EQ(transcript.rejected.size(), 1u);
  EXPECT_EQ(transcript.rejected[0].reason, "vad");
  EXPECT_NEAR(transcript.rejected[0].end, 5, 0.01);
}

TEST_F(RandomModel, StopsSoonAfterItIsAsked) {
  const auto path = long_file();
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(load("multilingual-80"), 1);
    std::stop_source stop;
    int segments = 0;
    EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(path),
                                        {.strategy = strategy,
                                         .language = "en",
                                         .beam = 1,
                                         .temperatures = {0},
                                         .no_speech_threshold = 2,
                                         .batch = 1},
                                        {.segment =
                                             [&](const Segment&) {
                                               ++segments;
                                               stop.request_stop();
                                             }},
                                        stop.get_token()),
                 Stopped);
    EXPECT_GE(segments, 1);
  }
}

TEST_F(RandomModel, AnErrorWhileReadingReachesTheCaller) {
  Transcriber transcriber(load("multilingual-80"), 1);
  struct Failure {};
  EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()),
                                      {.vad = VadKind::kOff,
                                       .language = "en",
                                       .beam = 1,
                                       .temperatures = {0},
                                       .no_speech_threshold = 2},
                                      {.progress = [](double) { throw Failure(); }}),
               Failure);
  EXPECT_NO_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()),
                                         {.language = "en", .beam = 1, .temperatures = {0}}));
}

TEST_F(RandomModel, RefusesOptionsWithoutSense) {
  Transcriber transcriber(load("multilingual-80"), 1);
  const auto attempt = [&](const TranscribeOptions& options) {
    transcriber.transcribe(dsp::AudioReader::open(clips()), options);
  };
  EXPECT_THROW(attempt({.beam = 0}), Error);
  EXPECT_THROW(attempt({.temperatures = {}}), Error);
  EXPECT_THROW(attempt({.temperatures = {-1}}), Error);
  EXPECT_THROW(attempt({.batch = 0}), Error);
}

TEST_F(RandomModel, RefusesFoldersThatAreNoSpeechModel) {
  EXPECT_THROW(SpeechModel::load(folder.path() / "nothing"), Error);
  load("english-128");
  std::filesystem::remove(folder.path() / "english-128" / "tokenizer.json");
  EXPECT_THROW(SpeechModel::load(folder.path() / "english-128"), Error);
}

// Real words: utterances joined with pauses, by every strategy.
TEST(PilotModel, HearsASequenceOfCommands) {
  const auto corpus = test::shared_path("corpus/commands");
  const auto checkpoint = test::shared_path("models/pilot-en");
  if (!corpus || !checkpoint) GTEST_SKIP() << test::kNoShared;
  const test::TemporaryFolder folder;
  stage::convert(*checkpoint, folder.path() / "pilot-en");
  std::vector<float> samples;
  for (const char* name : {"home_001.flac", "home_003.flac"}) {
    const auto utterance = read_all(*corpus / name);
    samples.insert(samples.end(), utterance.begin(), utterance.end());
    samples.resize(samples.size() + 5 * 16000);
  }
  write_wav(folder.path() / "two.wav", samples);
  const auto model = SpeechModel::load(folder.path() / "pilot-en");
  Transcriber transcriber(model);
  const Transcript transcript =
      transcriber.transcribe(dsp::AudioReader::open(folder.path() / "two.wav"), {.beam = 1});
  EXPECT_EQ(transcript.text, " What is the weather in Chicago? Call Helen tomorrow.");
  ASSERT_EQ(transcript.segments.size(), 2u);
  EXPECT_LT(transcript.segments[0].end, transcript.segments[1].start);
}

}  // namespace
}  // namespace parley::pipeline
