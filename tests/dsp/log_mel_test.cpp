#include "parley/dsp/log_mel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

// A log-mel and the memory it lies in.
struct Mel {
  Mel(int64_t frames, int64_t n_mels)
      : memory(static_cast<size_t>(frames * n_mels) * sizeof(float)),
        tensor(memory.data(), {frames, n_mels}, nn::DType::kF32) {}
  std::vector<float> values() const {
    return {tensor.f32(), tensor.f32() + tensor.shape.elements()};
  }
  nn::Buffer memory;
  nn::Tensor tensor;
};

std::vector<float> golden_speech() {
  const auto path = test::source_path("tests/dsp/golden/speech.s16");
  test::TemporaryFolder folder;
  const std::string bytes = test::read_bytes(path);
  test::write_file(
      folder.path() / "speech.wav",
      test::wav_header(kSampleRate, 1, 16, static_cast<uint32_t>(bytes.size())) + bytes);
  AudioReader reader = AudioReader::open(folder.path() / "speech.wav");
  return test::read_all(reader);
}

void expect_like_golden(const Mel& mel, const std::string& name) {
  const std::vector<float> golden = test::read_f32(test::source_path("tests/dsp/golden/" + name));
  const auto count = static_cast<int64_t>(golden.size());
  ASSERT_GT(count, 0);
  ASSERT_LE(count, mel.tensor.shape.elements());
  float worst = 0;
  for (int64_t i = 0; i < count; ++i)
    worst = std::max(worst, std::fabs(golden[i] - mel.tensor.f32()[i]));
  EXPECT_LT(worst, 1e-4f) << name;
}

TEST(LogMel, EqualsTheReferenceWith80Mels) {
  Mel mel(3000, 80);
  LogMel().window(golden_speech(), mel.tensor);
  expect_like_golden(mel, "log_mel_80.f32");
}

TEST(LogMel, EqualsTheReferenceWith128Mels) {
  Mel mel(3000, 128);
  LogMel({.n_mels = 128}).window(golden_speech(), mel.tensor);
  expect_like_golden(mel, "log_mel_128.f32");
}

TEST(LogMel, EqualsTheReferenceOnAClipShorterThanTheReflection) {
  const std::vector<float> speech = golden_speech();
  Mel mel(3000, 80);
  LogMel().window(std::span(speech).subspan(5000, 120), mel.tensor);
  expect_like_golden(mel, "short_80.f32");
}

TEST(LogMel, SilenceAndNothingAreTheFloor) {
  const std::vector<float> zeros(kSampleRate);
  for (const auto& clip : {std::span<const float>(), std::span<const float>(zeros)}) {
    Mel mel(3000, 80);
    LogMel().raw(clip, 0, mel.tensor);
    for (const float value : mel.values()) ASSERT_EQ(value, -10);
    LogMel().window(clip, mel.tensor);
    for (const float value : mel.values()) ASSERT_EQ(value, -1.5f);
  }
}

TEST(LogMel, FramesBehindTheClipAreSilent) {
  const std::vector<float> clip = test::noise(1000, 0.1, 1);
  const LogMel log_mel;
  EXPECT_EQ(log_mel.audible_frames(1000), 8);  // frame 7 begins at sample 920, frame 8 at 1080
  EXPECT_EQ(log_mel.audible_frames(0), 0);
  Mel mel(12, 80);
  log_mel.raw(clip, 0, mel.tensor);
  EXPECT_GT(maximum(mel.tensor.slice_rows(7, 1)), -10);
  EXPECT_EQ(maximum(mel.tensor.slice_rows(8, 4)), -10);
}

TEST(LogMel, AFrameDoesNotDependOnWhatElseIsComputed) {
  const std::vector<float> clip = test::noise(20000, 0.1, 2);
  const LogMel log_mel;
  Mel all(130, 80), one(1, 80);
  log_mel.raw(clip, 0, all.tensor);
  for (int64_t frame = 0; frame < 130; ++frame) {
    log_mel.raw(clip, frame, one.tensor);
    ASSERT_EQ(one.values(), std::vector<float>(all.tensor.row(frame), all.tensor.row(frame) + 80))
        << frame;
  }
}

TEST(LogMel, ThreadsShareOneFrontEnd) {
  const std::vector<float> clip = test::noise(32000, 0.1, 3);
  const LogMel log_mel;
  Mel expected(200, 80);
  log_mel.raw(clip, 0, expected.tensor);
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      Mel mel(200, 80);
      log_mel.raw(clip, 0, mel.tensor);
      result = mel.values();
      const LogMel another({.n_mels = 128});  // planning beside transforms
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected.values());
}

TEST(LogMel, WritesRowsOfAWiderMatrix) {
  const std::vector<float> clip = test::noise(3200, 0.1, 4);
  Mel narrow(20, 80), wide(20, 96);
  const LogMel log_mel;
  log_mel.window(clip, narrow.tensor);
  log_mel.window(clip, nn::Tensor(wide.memory.data(), {20, 80}, nn::DType::kF32, 96));
  for (int64_t i = 0; i < 20; ++i) {
    for (int64_t k = 0; k < 96; ++k)
      ASSERT_EQ(wide.tensor.row(i)[k], k < 80 ? narrow.tensor.row(i)[k] : 0);
  }
}

TEST(LogMel, TheMaximumSeesFramesBehindTheWindow) {
  // All energy in the last 100 samples: frame 100, which begins behind a window of 100 frames,
  // hears it best.
  std::vector<float> clip(16000);
  const std::vector<float> burst = test::noise(100, 0.5, 5);
  std::copy(burst.begin(), burst.end(), clip.end() - 100);
  const LogMel log_mel;
  Mel window(100, 80), longer(110, 80);
  log_mel.window(clip, window.tensor);
  log_mel.window(clip, longer.tensor);
  EXPECT_EQ(window.values(), std::vector<float>(longer.tensor.f32(), longer.tensor.f32() + 8000));
}

TEST(LogMel, RefusesSenselessConfigurations) {
  EXPECT_NE(test::error_of([] { LogMel({.n_fft = 401}); }), "");
  EXPECT_NE(test::error_of([] { LogMel({.n_fft = 1 << 30}); }), "");
  EXPECT_NE(test::error_of([] { LogMel({.hop_length = 0}); }), "");
  EXPECT_NE(test::error_of([] { LogMel({.n_mels = 0}); }), "");
  EXPECT_NE(test::error_of([] { LogMel({.f_max = 9000}); }), "");
  EXPECT_NE(test::error_of([] { LogMel({.f_min = std::numeric_limits<float>::quiet_NaN()}); }), "");
}

struct Streamed {
  std::vector<float> values;
  float maximum = 0;
};

Streamed stream(const LogMel& log_mel, std::span<const float> clip, std::mt19937& random,
                size_t largest_block) {
  LogMelStream stream(log_mel);
  Streamed out;
  const auto take = [&](int64_t frames) {
    Mel mel(frames, log_mel.config().n_mels);
    stream.pop(mel.tensor);
    const std::vector<float> values = mel.values();
    out.values.insert(out.values.end(), values.begin(), values.end());
  };
  while (!clip.empty()) {
    const size_t count = std::min(clip.size(), 1 + random() % largest_block);
    stream.push(clip.first(count));
    clip = clip.subspan(count);
    if (random() % 2 != 0)
      take(static_cast<int64_t>(random() % static_cast<uint64_t>(stream.available() + 1)));
  }
  stream.finish();
  take(stream.available());
  out.maximum = stream.maximum();
  return out;
}

TEST(LogMelStream, GivesTheFramesOfTheWholeClipForAnyBlockSize) {
  const LogMel log_mel;
  std::mt19937 random(11);
  for (const size_t samples : {0u, 1u, 100u, 159u, 160u, 199u, 200u, 201u, 320u, 5000u, 48000u}) {
    const std::vector<float> clip = test::noise(samples, 0.1, 6);
    const auto frames = static_cast<int64_t>(samples / 160);
    Mel expected(frames, 80), padded(frames + 3, 80);
    log_mel.raw(clip, 0, expected.tensor);
    log_mel.raw(clip, 0, padded.tensor);
    for (const size_t block : {1u, 160u, 777u, 100000u}) {
      const Streamed streamed = stream(log_mel, clip, random, block);
      EXPECT_EQ(streamed.values, expected.values())
          << samples << " samples, blocks of up to " << block;
      EXPECT_EQ(streamed.maximum, maximum(padded.tensor));
    }
  }
}

TEST(LogMelStream, DeliversFramesAsSoonAsTheyAreComplete) {
  const LogMel log_mel;
  LogMelStream stream(log_mel);
  const std::vector<float> zeros(1000);
  stream.push(std::span(zeros).first(200));
  EXPECT_EQ(stream.available(), 0);  // frame 0 reflects sample 200
  stream.push(std::span(zeros).first(1));
  EXPECT_EQ(stream.available(), 1);
  stream.push(std::span(zeros).first(159));
  EXPECT_EQ(stream.available(), 2);
  Mel mel(3, 80);
  EXPECT_NE(test::error_of([&] { stream.pop(mel.tensor); }), "");
}

}  // namespace
}  // namespace parley::dsp
