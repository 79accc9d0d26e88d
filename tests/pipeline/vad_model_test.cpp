#include "pipeline/vad_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "dsp/speech_segmenter.h"
#include "stage/convert.h"
#include "stage/model.h"
#include "tests/support.h"

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
