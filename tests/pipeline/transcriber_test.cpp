#include "parley/pipeline/stt/transcriber.h"

#include <gtest/gtest.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/tests/pipeline/random_model.h"
#include "parley/tests/support.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;
using test::read_all;
using test::write_wav;

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
         .no_speech_threshold = 1},
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
      EXPECT_LE(segment.end, transcript.duration);
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

TEST_F(RandomModel, InputsTogetherGiveTheTextsOfInputsAlone) {
  const std::vector<std::filesystem::path> paths = {long_file(), clips(), clips()};
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    const TranscribeOptions options = {
        .strategy = strategy, .language = "en", .beam = 2, .temperatures = {0, 0.6f}, .batch = 5};
    Transcriber transcriber(load("multilingual-80"), 2);
    std::vector<Transcript> together;
    size_t opened = 0;
    double audio_seconds = 0;
    transcriber.transcribe_all(
        [&](bool) -> std::optional<Input> {
          if (opened == paths.size()) return std::nullopt;
          return Input{.audio = dsp::AudioReader::open(paths[opened++]),
                       .done = [&](Transcript done) { together.push_back(std::move(done)); },
                       .failed = [](std::exception_ptr error) { std::rethrow_exception(error); }};
        },
        options);
    ASSERT_EQ(together.size(), paths.size());
    for (size_t i = 0; i < paths.size(); ++i) {
      const Transcript alone = transcriber.transcribe(dsp::AudioReader::open(paths[i]), options);
      EXPECT_EQ(tokens_of(together[i]), tokens_of(alone)) << i;
      EXPECT_EQ(together[i].duration, alone.duration);
      EXPECT_EQ(together[i].rejected.size(), alone.rejected.size());
      audio_seconds += alone.duration;
    }
    EXPECT_GT(audio_seconds, 90);
  }
}

TEST_F(RandomModel, AnInputThatFailsEndsAlone) {
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(load("multilingual-80"), 1);
    std::string order;
    int opened = 0;
    transcriber.transcribe_all(
        [&](bool) -> std::optional<Input> {
          const int number = opened++;
          if (number >= 3) return std::nullopt;
          Input input{.audio = dsp::AudioReader::open(clips()),
                      .done = [&order](Transcript) { order += "done "; },
                      .failed = [&order](std::exception_ptr) { order += "failed "; }};
          if (number == 1) {
            input.events.segment = [](const Segment&) { throw Error("clips.wav", "is no good"); };
          }
          return input;
        },
        {.strategy = strategy,
         .language = "en",
         .beam = 1,
         .temperatures = {0},
         .no_speech_threshold = 1});
    EXPECT_EQ(order, "done failed done ");
  }
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
                                         .no_speech_threshold = 1,
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
                                       .no_speech_threshold = 1},
                                      {.progress = [](double) { throw Failure(); }}),
               Failure);
  EXPECT_NO_THROW(transcriber.transcribe(dsp::AudioReader::open(clips()),
                                         {.language = "en", .beam = 1, .temperatures = {0}}));
}

TEST_F(RandomModel, OnlyWindowsThatFailAreDecodedAgain) {
  const auto path = long_file();
  Transcriber transcriber(load("multilingual-80"), 1);
  TranscribeOptions options = {.endpoint_silence = 0.2,
                               .language = "en",
                               .beam = 1,
                               .best_of = 1,
                               .temperatures = {0},
                               .no_speech_threshold = 1,
                               .logprob_threshold = -1000,
                               .compression_ratio_threshold = 1000};
  // The segments of each window; those of a window that had to be heard again in parts are of
  // several decodes.
  const auto run = [&] {
    std::vector<std::vector<Segment>> windows(1);
    transcriber.transcribe(
        dsp::AudioReader::open(path), options,
        {.segment = [&](const Segment& segment) { windows.back().push_back(segment); },
         .window = [&](double, double) { windows.emplace_back(); }});
    return windows;
  };
  const auto plain = run();
  ASSERT_GT(plain.size(), 5u);
  const int64_t tokens = transcriber.timings().tokens;
  std::vector<double> logprobs;
  for (const auto& window : plain) {
    for (const Segment& segment : window) logprobs.push_back(segment.avg_logprob);
  }
  std::sort(logprobs.begin(), logprobs.end());
  options.logprob_threshold = static_cast<float>(logprobs[logprobs.size() / 10] - 1e-4);
  options.temperatures = {0, 0.7f};
  const auto retried = run();
  ASSERT_EQ(retried.size(), plain.size());
  EXPECT_GT(transcriber.timings().tokens, tokens);
  EXPECT_LT(transcriber.timings().tokens, 3 * tokens) << "not every window again";
  const auto good = [&](const Segment& segment) {
    return segment.avg_logprob >= options.logprob_threshold;
  };
  size_t again = 0;
  size_t left = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    for (const Segment& segment : retried[i]) {
      EXPECT_TRUE(segment.temperature > 0 || good(segment));
      again += segment.temperature > 0 ? 1 : 0;
    }
    const bool all_good = std::all_of(plain[i].begin(), plain[i].end(), good);
    if (plain[i].empty() || !all_good) continue;
    ++left;
    ASSERT_EQ(retried[i].size(), plain[i].size()) << "a window that was good is left as it was";
    for (size_t k = 0; k < plain[i].size(); ++k)
      EXPECT_EQ(retried[i][k].tokens, plain[i][k].tokens);
  }
  EXPECT_GT(again, 0u);
  EXPECT_GT(left, 0u);
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
