#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <random>

#include "parley/convert/compress.h"
#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/pipeline/evaluation/stage_runs.h"
#include "parley/pipeline/evaluation/task_scores.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/tests/golden/golden_model.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::pipeline {
namespace {

using test::source_path;

// The tiny voice of the goldens, with its vocoder.
struct WholeVoice {
  test::TemporaryFolder folder;
  stage::Model model;

  WholeVoice() : model(converted(folder.path() / "voice")) {}

 private:
  static stage::Model converted(const std::filesystem::path& target) {
    stage::convert(source_path("tests/golden/speecht5/small"), target,
                   {.weights = stage::WeightStorage::kF32,
                    .vocoder = source_path("tests/golden/hifigan/speecht5"),
                    .voices = source_path("tests/golden/speecht5/small/voices")});
    return stage::Model::open(target);
  }
};

StageTensors golden(const std::string& name) {
  return read_golden(source_path("tests/golden/stages/" + name + ".safetensors"));
}

const StageRunOptions kExact = {.precision = nn::Precision::kF32, .threads = 2, .layers = true};

// Every tensor of the reference that is not an input, by its name.
void expect_all_equal(const stage::Model& model, const StageTensors& expected, size_t inputs) {
  const std::vector<TensorError> errors = compare(run_stages(model, expected, kExact), expected);
  EXPECT_EQ(errors.size(), expected.all().size() - inputs);
  for (const TensorError& error : errors) {
    EXPECT_LT(error.max_error, 1e-3) << error.name;
    EXPECT_LT(error.relative_error, 1e-4) << error.name;
  }
}

TEST(StageRuns, WhisperEqualsTheReferenceLayerByLayer) {
  const test::GoldenModel whisper("multilingual-80");
  expect_all_equal(whisper.model, golden("whisper"), 2);  // mel, tokens
}

TEST(StageRuns, SpeechT5EqualsTheReferenceLayerByLayer) {
  const WholeVoice voice;
  expect_all_equal(voice.model, golden("speecht5"), 3);  // tokens, speaker, kept
}

// What the frames lack in 8 bits is not held against the stages after them.
TEST(StageRuns, EachStageIsGivenWhatTheReferenceMadeBeforeIt) {
  const WholeVoice voice;
  const StageTensors expected = run_stages(voice.model, {}, {.precision = nn::Precision::kF32});
  StageTensors given = expected;
  StageTensor features = *expected.find("text_encoder.features");
  for (float& value : features.values) value += 0.5f;
  given.set(features);
  for (const TensorError& error : compare(run_stages(voice.model, given, kExact), expected)) {
    const bool listens = error.name == "mel_decoder.frames" || error.name == "mel_decoder.stop";
    EXPECT_EQ(error.max_error > 0, listens) << error.name;
  }
}

// Linear layers lose what their bits lose; what frames go in and come out by, and the vocoder, does
// not.
TEST(StageRuns, ACompressedVoiceStaysNearItself) {
  const WholeVoice voice;
  const StageTensors expected = run_stages(voice.model, {}, {.precision = nn::Precision::kF32});
  for (const auto& [storage, bound] :
       {std::pair(nn::Storage::kInt8, 0.03), std::pair(nn::Storage::kInt8Block, 0.03),
        std::pair(nn::Storage::kInt4Block, 0.3), std::pair(nn::Storage::kPalette4, 0.3)}) {
    const test::TemporaryFolder folder;
    stage::compress(voice.model, folder.path() / "small", {.weights = {storage}});
    const stage::Model small = stage::Model::open(folder.path() / "small");
    for (const auto& tensor : small.stage("mel_decoder").manifest().compression)
      EXPECT_TRUE(tensor.name.starts_with("layers.")) << tensor.name;
    EXPECT_EQ(small.stage("mel_decoder").manifest().compression.size(), 2u * 10);
    EXPECT_TRUE(small.stage("vocoder").manifest().compression.empty());
    for (const nn::Precision precision : {nn::Precision::kF32, nn::Precision::kAuto}) {
      const auto errors = compare(run_stages(small, expected, {.precision = precision}), expected);
      for (const TensorError& error : errors) {
        const bool wide = error.name == "mel_decoder.mel" || error.name == "vocoder.samples";
        EXPECT_LT(error.relative_error, wide ? 0.01 : bound)
            << error.name << " " << nn::name_of(storage) << " " << nn::name_of(precision);
      }
    }
  }
}

TEST(StageRuns, ByThemselvesTheyAreRepeatableAndLayersAreShownOnlyOnRequest) {
  const test::GoldenModel whisper("english-128");
  const StageTensors first = run_stages(whisper.model, {}, {.precision = nn::Precision::kF32});
  const StageTensors again = run_stages(whisper.model, {}, kExact);
  size_t layers = 0;
  for (const StageTensor& tensor : again.all()) {
    layers += tensor.role == TensorRole::kLayer ? 1 : 0;
    const StageTensor* other = first.find(tensor.name);
    EXPECT_EQ(other == nullptr, tensor.role == TensorRole::kLayer) << tensor.name;
    if (other != nullptr) {
      EXPECT_EQ(other->values, tensor.values) << tensor.name;
    }
  }
  EXPECT_EQ(layers, 2u + 2u + 2u);  // of each stage: layers, and what the first of them is given
}

TEST(StageRuns, GivenTensorsThatDoNotFitAreRefusedByName) {
  const test::GoldenModel whisper("multilingual-80");
  const WholeVoice voice;
  const auto refuse = [](const stage::Model& model, const StageTensors& good, StageTensor bad) {
    const std::string name = bad.name;
    StageTensors given = good;
    given.set(std::move(bad));
    try {
      run_stages(model, given, kExact);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  const auto zeros = [](const std::string& name, const nn::Shape& shape) {
    return StageTensor{name, shape, std::vector<float>(static_cast<size_t>(shape.elements()))};
  };
  const StageTensors ears = golden("whisper");
  refuse(whisper.model, ears, zeros("frontend.mel", {10, 79}));
  refuse(whisper.model, ears, zeros("frontend.mel", {3001, 80}));
  refuse(whisper.model, ears, zeros("frontend.mel", {0, 80}));
  refuse(whisper.model, ears, zeros("frontend.mel", {80}));
  refuse(whisper.model, ears, zeros("encoder.features", {1500, 31}));
  refuse(whisper.model, ears, {"decoder.tokens", {2}, {1.f, -1.f}});
  refuse(whisper.model, ears, {"decoder.tokens", {1}, {std::nanf("")}});
  const StageTensors mouth = golden("speecht5");
  refuse(voice.model, mouth, zeros("text_encoder.features", {15, 33}));
  refuse(voice.model, mouth, zeros("mel_decoder.kept", {16, 31}));
  refuse(voice.model, mouth, zeros("mel_decoder.kept", {0, 32}));
  refuse(voice.model, mouth, zeros("mel_decoder.frames", {3, 20}));
  refuse(voice.model, mouth, zeros("mel_decoder.mel", {32, 21}));
}

TEST(Compare, TellsTheLargestAndTheRelativeError) {
  StageTensors actual, expected;
  actual.set({"a.b", {2, 2}, {1, 2, 3, 4}});
  expected.set({"a.b", {2, 2}, {1, 2, 3, 8}});
  expected.set({"other", {1}, {1}});
  const std::vector<TensorError> errors = compare(actual, expected);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].max_error, 4);
  EXPECT_DOUBLE_EQ(errors[0].relative_error, 4 / std::sqrt(1. + 4 + 9 + 64));
}

TEST(Compare, FewerRowsAreEveryNthRow) {
  StageTensors actual, expected;
  actual.set({"x", {4, 1}, {1, 9, 3, 9}});
  expected.set({"x", {2, 1}, {1, 3}});
  EXPECT_EQ(compare(actual, expected)[0].max_error, 0);
  expected.set({"x", {3, 1}, {1, 3, 9}});
  EXPECT_THROW(compare(actual, expected), Error);
  expected.set({"x", {2, 2}, {1, 9, 3, 9}});
  EXPECT_THROW(compare(actual, expected), Error);
  expected.set({"x", {0, 1}, {}});
  EXPECT_THROW(compare(actual, expected), Error);
}

TEST(Compare, WhatIsNotFiniteIsInfinitelyWrong) {
  for (const float broken : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    StageTensors actual, expected;
    actual.set({"x", {3}, {1, broken, 1}});
    expected.set({"x", {3}, {1, 1, 1}});
    EXPECT_TRUE(std::isinf(compare(actual, expected)[0].max_error));
    EXPECT_TRUE(std::isinf(compare(actual, expected)[0].relative_error));
  }
}

TEST(Compare, NothingInCommonIsAnError) {
  StageTensors actual, expected;
  actual.set({"x", {1}, {1}, TensorRole::kInput});
  expected.set({"x", {1}, {1}});
  EXPECT_THROW(compare(actual, expected), Error);
}

TEST(SignalToNoise, IsInDecibels) {
  const std::vector<float> signal = {1, -1, 1, -1};
  const std::vector<float> lower = {0.9f, -0.9f, 0.9f, -0.9f};
  EXPECT_NEAR(signal_to_noise(lower, signal), 20, 1e-4);
  EXPECT_TRUE(std::isinf(signal_to_noise(signal, signal)));
}

class ManifestTest : public testing::Test {
 protected:
  std::vector<ManifestRow> read(const std::string& text, size_t limit = 0) const {
    const std::filesystem::path path = folder_.path() / "manifest.tsv";
    std::ofstream(path) << text;
    return read_manifest(path, limit);
  }
  test::TemporaryFolder folder_;
};

TEST_F(ManifestTest, RowsWithTranscriptsInTheFolder) {
  const auto rows = read(
      "speaker\trelative_path\ttranscript\r\nx\ta/b.wav\tGood "
      "morning.\r\nx\tc.wav\t\r\n\nx\td.wav\t"
      "Two\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].recording, folder_.path() / "a/b.wav");
  EXPECT_EQ(rows[0].transcript, "Good morning.");
  EXPECT_EQ(rows[1].transcript, "Two");
}

TEST_F(ManifestTest, LimitsAreSpreadOverTheList) {
  std::string text = "relative_path\ttranscript\n";
  for (int i = 0; i < 10; ++i) text += "x.wav\t" + std::to_string(i) + "\n";
  const auto rows = read(text, 3);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].transcript, "3");
  EXPECT_EQ(rows[2].transcript, "6");
  EXPECT_EQ(read(text, 11).size(), 10u);
}

TEST_F(ManifestTest, WhatIsNoneIsRefused) {
  EXPECT_THROW(read(""), Error);
  EXPECT_THROW(read("relative_path\tspeaker\na.wav\tx\n"), Error);
  EXPECT_THROW(read("relative_path\ttranscript\na.wav\n"), Error);
  EXPECT_THROW(read("relative_path\ttranscript\na.wav\t\n"), Error);
  EXPECT_THROW(read("relative_path\ttranscript\n../a.wav\tx\n"), Error);
  EXPECT_THROW(read("relative_path\ttranscript\n/a.wav\tx\n"), Error);
}

// A voice-like sound: harmonics under a moving resonance, and a little noise.
std::vector<float> glide(double seconds, double from, double to) {
  std::vector<float> samples(static_cast<size_t>(16000 * seconds));
  std::minstd_rand random(1);
  std::normal_distribution<float> noise(0, 0.003f);
  for (float& sample : samples) sample = noise(random);
  for (size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / 16000;
    const double centre = from + (to - from) * t / seconds;
    for (int harmonic = 1; harmonic < 30; ++harmonic) {
      const double distance = (150. * harmonic - centre) / 200;
      samples[i] += static_cast<float>(0.1 * std::sin(2 * M_PI * 150 * harmonic * t) /
                                       (1 + distance * distance));
    }
  }
  return samples;
}

TEST(MelCepstralDistortion, IsOfTheSoundNotOfItsLoudnessOrPace) {
  const stage::MelContract mel;
  const std::vector<float> sound = glide(1, 500, 2500);
  EXPECT_EQ(mel_cepstral_distortion(sound, sound, mel), 0);
  std::vector<float> louder = sound;
  for (float& sample : louder) sample *= 2;
  EXPECT_LT(mel_cepstral_distortion(louder, sound, mel), 0.05);
  const double slower = mel_cepstral_distortion(glide(1.5, 500, 2500), sound, mel);
  const double other = mel_cepstral_distortion(glide(1, 2500, 500), sound, mel);
  EXPECT_GT(other, 3 * slower);
  EXPECT_DOUBLE_EQ(other, mel_cepstral_distortion(sound, glide(1, 2500, 500), mel));
  EXPECT_TRUE(std::isinf(mel_cepstral_distortion({}, sound, mel)));
}

TEST(ScoreSpeech, CountsWordsOfAllRecordings) {
  const test::GoldenModel whisper("english-128");
  Transcriber transcriber(SpeechModel::load(whisper.model.path(), nn::Precision::kF32, 2), 2);
  const std::vector<ManifestRow> rows(
      2, {source_path("tests/golden/whisper/clips.wav"), "Mister Smith's got two dogs."});
  std::vector<size_t> seen;
  const SpeechScore score =
      score_speech(transcriber, rows, {.language = "en", .beam = 1, .temperatures = {0}}, {},
                   [&](size_t done, size_t) { seen.push_back(done); });
  EXPECT_EQ(score.words.reference_words(), 12u);  // "mister smith has got 2 dogs"
  EXPECT_GT(score.words.errors(), 0u);
  EXPECT_EQ(score.recordings, 2);
  EXPECT_NEAR(score.audio_seconds, 9, 0.1);
  EXPECT_GT(score.real_time_factor(), 0);
  EXPECT_EQ(seen, (std::vector<size_t>{1, 2}));
}

TEST(ScoreVoice, BesideItselfNothingDiffers) {
  const WholeVoice files;
  const auto model = VoiceModel::load(files.model.path(), nn::Precision::kF32, 2);
  Synthesizer voice(model, 2), reference(model, 2);
  const test::GoldenModel whisper("english-128");
  Transcriber listener(SpeechModel::load(whisper.model.path(), nn::Precision::kF32, 2), 2);
  const std::vector<ManifestRow> rows(2, {"", "Good morning."});
  const VoiceScores scores =
      score_voice(voice, rows,
                  {.listener = &listener,
                   .listening = {.language = "en", .beam = 1, .temperatures = {0}},
                   .reference = &reference});
  EXPECT_EQ(scores.voice.words->reference_words(), 4u);
  EXPECT_EQ(scores.voice.words, scores.reference->words);
  EXPECT_EQ(scores.voice.sentences, 2);
  EXPECT_GT(scores.voice.audio_seconds, 0);
  EXPECT_EQ(scores.voice.cepstral_distortion, 0);
  EXPECT_TRUE(std::isinf(*scores.voice.signal_to_noise));
}

}  // namespace
}  // namespace parley::pipeline
