#include "parley/pipeline/stt/vad_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/speech_segmenter.h"
#include "parley/tests/support.h"

namespace parley::pipeline {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& file) {
  return read_file(test::source_path("tests/dsp/golden/" + file), 1 << 20);
}

// As in make_silero_golden.py.
void add_noise(std::vector<float>& samples, int count, uint32_t state) {
  for (int i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    samples.push_back(static_cast<float>(0.01 * ((state >> 16) / 65536.0 - 0.5)));
  }
}

// Half a second of noise, speech, half a second of noise.
std::vector<float> golden_samples() {
  std::vector<float> samples;
  add_noise(samples, 8000, 1);
  const std::string speech = bytes_of("speech.s16");
  for (size_t i = 0; i < speech.size(); i += 2) {
    int16_t value;
    std::memcpy(&value, speech.data() + i, 2);
    samples.push_back(static_cast<float>(value) / 32768.f);
  }
  add_noise(samples, 8000, 2);
  return samples;
}

fs::path embedded() { return test::source_path("data/models/silero-vad"); }

TEST(SileroVad, ProbabilitiesAreThoseOfThePublishedModel) {
  dsp::SileroVad vad(load_vad_model(embedded()));
  const std::vector<float> samples = golden_samples();
  const std::string golden = bytes_of("silero.f32");
  size_t frames = 0;
  for (size_t at = 0; at + dsp::SileroVad::kFrame <= samples.size(); at += dsp::SileroVad::kFrame) {
    float expected;
    std::memcpy(&expected, golden.data() + 4 * frames++, 4);
    const float probability =
        vad.process(std::span(samples).subspan(at).first<dsp::SileroVad::kFrame>());
    ASSERT_NEAR(probability, expected, 1e-4) << "frame " << frames;
  }
  EXPECT_EQ(4 * frames, golden.size());
}

TEST(SileroVad, StreamsShareAModelButNoState) {
  const auto model = load_vad_model(embedded());
  const std::vector<float> samples = golden_samples();
  const auto first = std::span(samples).first<dsp::SileroVad::kFrame>();
  const auto loud = std::span(samples).subspan(20000).first<dsp::SileroVad::kFrame>();
  dsp::SileroVad one(model);
  const float fresh = one.process(first);
  one.process(loud);
  EXPECT_NE(one.process(first), fresh);
  EXPECT_EQ(dsp::SileroVad(model).process(first), fresh);
}

TEST(SileroVad, SegmenterFindsTheSpeechWhateverTheBlocks) {
  const auto model = load_vad_model(embedded());
  const std::vector<float> samples = golden_samples();
  std::vector<dsp::Window> expected;
  for (const size_t block : {samples.size(), size_t{100}, size_t{512}, size_t{1000}}) {
    dsp::SpeechSegmenter segmenter(dsp::silero_classifier(model));
    for (size_t at = 0; at < samples.size(); at += block)
      segmenter.push(std::span(samples).subspan(at, std::min(block, samples.size() - at)));
    segmenter.finish();
    std::vector<dsp::Window> windows;
    while (const auto window = segmenter.next_window()) windows.push_back(*window);
    ASSERT_EQ(windows.size(), 1u);
    if (expected.empty()) expected = windows;
    EXPECT_EQ(windows[0].start, expected[0].start);
    EXPECT_EQ(windows[0].end, expected[0].end);
  }
}

// The speech that is found in a recording between silences, `gain` times as loud.
std::vector<dsp::SpeechSpan> speech_at(float gain, const TranscribeOptions& options) {
  std::vector<float> samples(2 * dsp::kSampleRate);
  auto reader = dsp::AudioReader::open(test::source_path("data/audio/sample.flac"));
  std::vector<float> block(dsp::kSampleRate);
  while (const size_t count = reader.read(block)) {
    for (size_t i = 0; i < count; ++i) samples.push_back(gain * block[i]);
  }
  samples.resize(samples.size() + 2 * dsp::kSampleRate);
  dsp::SpeechSegmenter segmenter(frame_classifier(options));
  segmenter.push(samples);
  segmenter.finish();
  return segmenter.speech_in(0, segmenter.position());
}

TEST(FrameClassifier, QuietSpeechIsFoundLikeLoudSpeech) {
  const auto model = load_vad_model(embedded());
  for (const VadKind kind : {VadKind::kAuto, VadKind::kWebrtc}) {
    const TranscribeOptions options{.vad = kind, .silero = model};
    const auto loud = speech_at(1, options);
    ASSERT_FALSE(loud.empty());
    for (const float decibels : {-30.f, -45.f, -60.f}) {
      const auto quiet = speech_at(std::pow(10.f, decibels / 20), options);
      ASSERT_FALSE(quiet.empty()) << decibels;
      constexpr int64_t kNear = dsp::kSampleRate / 4;
      EXPECT_NEAR(quiet.front().span.start, loud.front().span.start, kNear) << decibels;
      EXPECT_NEAR(quiet.back().span.end, loud.back().span.end, kNear) << decibels;
    }
  }
}

TEST(FrameClassifier, WhatIsLoudEnoughIsLeftAsItIs) {
  std::vector<float> heard;
  const auto record = [&heard](std::span<const float> frame) {
    heard.insert(heard.end(), frame.begin(), frame.end());
    return 1.f;
  };
  dsp::SpeechSegmenter segmenter(dsp::leveled({160, record}));
  std::vector<float> samples;
  for (int i = 0; i < 16000; ++i) samples.push_back(0.1f * std::sin(0.3f * static_cast<float>(i)));
  segmenter.push(samples);
  ASSERT_EQ(heard.size(), samples.size());
  EXPECT_TRUE(std::equal(heard.begin() + 160, heard.end(), samples.begin() + 160));
}

TEST(FrameClassifier, SileroIsTheDefaultWhereItsModelIs) {
  const auto model = load_vad_model(embedded());
  EXPECT_EQ(frame_classifier({.silero = model}).frame_samples, dsp::SileroVad::kFrame);
  EXPECT_EQ(frame_classifier({}).frame_samples, dsp::WebrtcVad::kFrame);
  EXPECT_EQ(frame_classifier({.vad = VadKind::kWebrtc, .silero = model}).frame_samples,
            dsp::WebrtcVad::kFrame);
}

TEST(SileroVad, ConvertedModelsAreChecked) {
  const test::TemporaryFolder folder;
  const fs::path weights = embedded() / "vad/weights.safetensors";
  const fs::path source = folder.path() / "silero_vad_16k.safetensors";
  fs::copy_file(weights, source);
  stage::convert(source, folder.path() / "from_file", {.weights = stage::WeightStorage::kF16});
  stage::convert(folder.path(), folder.path() / "from_folder");
  const stage::Model file = stage::Model::open(folder.path() / "from_file");
  file.verify();
  EXPECT_EQ(file.kind(), "vad");
  EXPECT_EQ(file.manifest().licence, "MIT");
  EXPECT_EQ(file.digest(), stage::Model::open(folder.path() / "from_folder").digest());
  EXPECT_EQ(file.digest(), stage::Model::open(embedded()).digest());

  std::fstream damaged(source, std::ios::in | std::ios::out | std::ios::binary);
  damaged.seekp(8 + 20);  // within the header
  damaged.put('\x01');
  damaged.close();
  EXPECT_THROW(stage::convert(source, folder.path() / "damaged"), Error);
  EXPECT_THROW(load_vad_model(test::source_path("tests")), Error);
}

TEST(SileroVad, IsRefusedWithoutItsModel) {
  EXPECT_THROW(frame_classifier({.vad = VadKind::kSilero}), Error);
}

}  // namespace
}  // namespace parley::pipeline
