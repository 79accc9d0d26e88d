#include "parley/pipeline/stt/language_detection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parley/pipeline/stt/windowed_transcript.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;

decoder::LanguageGuess guess(float german, float english, float norse, float no_speech = 0.1f) {
  return {{{"de", german}, {"en", english}, {"nn", norse}}, no_speech};
}

TEST(LanguageDetection, AWindowThatIsLikelyEnoughDecides) {
  LanguageDetection detection({}, 0.6f);
  EXPECT_EQ(detection.best().code, "");
  detection.hear(guess(0.2f, 0.35f, 0.45f));
  EXPECT_FALSE(detection.sure());
  EXPECT_EQ(detection.best().code, "nn");
  EXPECT_NEAR(detection.best().probability, 0.45f, 1e-4f);
  detection.hear(guess(0.9f, 0.06f, 0.04f));
  EXPECT_TRUE(detection.sure());
  EXPECT_EQ(detection.best().code, "de");
  EXPECT_NEAR(detection.best().probability, 0.9f, 1e-4f) << "of the window that decided";
  detection.hear(guess(0, 1, 0));
  EXPECT_EQ(detection.best().code, "de");
}

TEST(LanguageDetection, MusicDoesNotDecide) {
  LanguageDetection detection({}, 0.6f);
  detection.hear(guess(0.01f, 0.01f, 0.98f, 0.9f));
  EXPECT_FALSE(detection.sure());
  for (int i = 0; i < 2; ++i) detection.hear(guess(0.48f, 0.47f, 0.05f));
  EXPECT_FALSE(detection.sure());
  EXPECT_EQ(detection.best().code, "de") << "the windows with speech weigh more";
}

TEST(LanguageDetection, WindowsThatAgreeALittleDecideTogether) {
  LanguageDetection detection({}, 0.6f);
  detection.hear(guess(0.40f, 0.30f, 0.30f));
  detection.hear(guess(0.30f, 0.45f, 0.25f));
  detection.hear(guess(0.42f, 0.35f, 0.23f));
  EXPECT_FALSE(detection.sure());
  detection.hear(guess(0.40f, 0.38f, 0.22f));
  EXPECT_TRUE(detection.sure()) << "so many windows are enough";
  const auto mean = [](float a, float b, float c, float d) {
    return std::pow(a * b * c * d, 0.25);
  };
  const double de = mean(0.40f, 0.30f, 0.42f, 0.40f);
  const double en = mean(0.30f, 0.45f, 0.35f, 0.38f);
  const double nn = mean(0.30f, 0.25f, 0.23f, 0.22f);
  EXPECT_EQ(detection.best().code, de > en ? "de" : "en");
  EXPECT_NEAR(detection.best().probability, std::max(de, en) / (de + en + nn), 1e-4);
}

TEST(LanguageDetection, OnlyTheLanguagesAskedForCount) {
  LanguageDetection detection({"de", "en"}, 0.6f);
  detection.hear(guess(0.12f, 0.03f, 0.85f));
  EXPECT_TRUE(detection.sure());
  EXPECT_EQ(detection.best().code, "de");
  EXPECT_NEAR(detection.best().probability, 0.8f, 1e-4f);
  LanguageDetection none({"de", "en"}, 0.6f);
  none.hear(guess(0, 0, 1));
  EXPECT_FALSE(none.sure());
  EXPECT_NEAR(none.best().probability, 0.5f, 1e-4f);
}

// To a random model all languages are about as likely: windows wait until four have been heard, or
// none follows.
TEST_F(RandomModel, WindowsWaitForTheirLanguage) {
  const auto model = load("multilingual-80");
  const auto engine = start_speech_engine(model, start_engine(1));
  Listener listener(*engine, Urgency::kFile, {});
  const TranscribeOptions options;
  const TranscribeEvents events;
  const std::vector<float> mel(
      static_cast<size_t>(model->encoder.frames() * model->encoder.n_mels()));
  const auto cross = listener.encode(mel);
  for (const int windows : {2, 4, 6}) {
    WindowedTranscript text(*model, options, events, DecodePolicy(*model, options));
    std::vector<int64_t> ready;
    for (int i = 0; i < windows; ++i) {
      text.add(listener, {.window = {.start = i * 16000, .end = (i + 1) * 16000}}, cross);
      for (const int64_t number : text.take_ready()) ready.push_back(number);
      EXPECT_EQ(ready.size(), i < LanguageDetection::kMaxWindows - 1 ? 0 : i + 1);
    }
    text.decide_language();
    for (const int64_t number : text.take_ready()) ready.push_back(number);
    std::vector<int64_t> all;
    for (int64_t i = 0; i < windows; ++i) all.push_back(i);
    EXPECT_EQ(ready, all);
    EXPECT_FALSE(text.language().empty());
    const auto first = text.task(0).initial_tokens;
    EXPECT_EQ(first, text.task(windows - 1).initial_tokens) << "one language for all";
  }
}

TEST_F(RandomModel, TheLanguageIsOneOfThoseAskedFor) {
  const auto path = long_file();
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(load("multilingual-80"), 1);
    const auto heard = [&](TranscribeOptions options) {
      options.strategy = strategy;
      options.beam = 1;
      options.temperatures = {0};

      return transcriber.transcribe(dsp::AudioReader::open(path), options);
    };
    const Transcript free = heard({});
    EXPECT_GT(free.language_probability, 0);
    const Transcript among = heard({.languages = {"sw", "yo"}});
    EXPECT_TRUE(among.language == "sw" || among.language == "yo") << among.language;
    EXPECT_GE(among.language_probability, 0.5f);
    const Transcript one = heard({.languages = {"yo"}});
    EXPECT_EQ(one.language, "yo");
    EXPECT_EQ(one.language_probability, 1);
    EXPECT_EQ(heard({.language = "sw"}).language_probability, 1) << "it was given";
    EXPECT_THROW(heard({.languages = {"sw", "xx"}}), Error);
  }
  Transcriber english(load("english-128"), 1);
  EXPECT_THROW(english.transcribe(dsp::AudioReader::open(clips()), {.languages = {"de", "en"}}),
               Error);
}

}  // namespace
}  // namespace parley::pipeline
