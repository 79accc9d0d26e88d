#include "parley/vocoder/hifigan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/tests/support.h"

namespace parley::vocoder {
namespace {

using nn::Precision;
using nn::Tensor;

// A tiny generator of tests/golden/hifigan, converted, and the samples that its reference makes.
struct Golden {
  test::TemporaryFolder folder;
  stage::Model model;
  stage::Safetensors expected;
  nn::ThreadTeam team{2};

  explicit Golden(const std::string& name)
      : model(convert(test::source_path("tests/golden/hifigan/" + name), folder.path() / name)),
        expected(test::source_path("tests/golden/hifigan/" + name + "/golden.safetensors")) {}

  static stage::Model convert(const std::filesystem::path& source,
                              const std::filesystem::path& target) {
    stage::convert(source, target, {.weights = stage::WeightStorage::kF32});
    return stage::Model::open(target);
  }

  HifiGan vocoder(Precision precision = Precision::kF32,
                  int64_t block_frames = HifiGanOptions{}.block_frames) {
    return {model.stage("vocoder"), precision, team, {.block_frames = block_frames}};
  }
  Tensor mel() const { return expected.tensor("mel"); }
};

double distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst = std::max<double>(worst, std::abs(a[i] - b[i]));
  return worst;
}

std::span<const float> values(const Tensor& tensor) {
  return {tensor.f32(), static_cast<size_t>(tensor.shape.elements())};
}

std::vector<float> synthesize(const HifiGan& vocoder, const Tensor& mel, int threads = 2) {
  nn::Context ctx({.threads = threads});
  return vocoder::synthesize(ctx, vocoder, mel);
}

// Delivered `chunk` frames at a time.
std::vector<float> stream(HifiGanStream& stream, const Tensor& mel, int64_t chunk) {
  nn::Context ctx({.threads = 2});
  std::vector<float> samples;
  for (int64_t begin = 0; begin < mel.rows(); begin += chunk)
    stream.push(ctx, mel.slice_rows(begin, std::min(chunk, mel.rows() - begin)), samples);
  stream.finish(ctx, samples);
  return samples;
}

// Frames that go through many blocks.
std::vector<float> random_mel(int64_t frames, int64_t bands) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> mel(static_cast<size_t>(frames * bands));
  for (float& value : mel) value = normal(generator);
  return mel;
}

class HifiGanGolden : public testing::TestWithParam<const char*> {};

TEST_P(HifiGanGolden, EqualsTheReferenceInF32) {
  Golden golden(GetParam());
  EXPECT_LT(distance(synthesize(golden.vocoder(), golden.mel()),
                     values(golden.expected.tensor("samples"))),
            1e-4);
}

TEST_P(HifiGanGolden, EqualsTheReferenceInBlocksOfAnySize) {
  Golden golden(GetParam());
  for (const int64_t block : {1, 3, 7, 16}) {
    EXPECT_LT(distance(synthesize(golden.vocoder(Precision::kF32, block), golden.mel()),
                       values(golden.expected.tensor("samples"))),
              1e-4)
        << block;
  }
}

TEST_P(HifiGanGolden, StaysNearTheReferenceInBf16) {
  if (nn::isa() < nn::Isa::kAvx512) GTEST_SKIP() << "bf16 needs AVX-512";
  Golden golden(GetParam());
  const std::vector<float> samples = synthesize(golden.vocoder(Precision::kBF16), golden.mel());
  const std::span<const float> expected = values(golden.expected.tensor("samples"));
  double signal = 0, noise = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    signal += expected[i] * expected[i];
    noise += (samples[i] - expected[i]) * (samples[i] - expected[i]);
  }
  EXPECT_GT(10 * std::log10(signal / noise), 30) << "dB";
}

TEST_P(HifiGanGolden, DeliveryDoesNotChangeABit) {
  Golden golden(GetParam());
  std::vector<float> memory = random_mel(100, golden.mel().cols());
  const Tensor mel(memory.data(), {100, golden.mel().cols()}, nn::DType::kF32);
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    if (precision == Precision::kBF16 && nn::isa() < nn::Isa::kAvx512) continue;
    const HifiGan vocoder = golden.vocoder(precision, 12);
    const std::vector<float> whole = synthesize(vocoder, mel);
    ASSERT_EQ(whole.size(), 100u * static_cast<size_t>(vocoder.hop_length()));
    HifiGanStream reused(vocoder);
    for (const int64_t chunk : {1, 5, 12, 37, 99}) {
      EXPECT_EQ(stream(reused, mel, chunk), whole) << chunk;
      reused.reset();
    }
    EXPECT_EQ(synthesize(vocoder, mel, 1), whole) << "threads";
    EXPECT_EQ(synthesize(vocoder, mel, 5), whole) << "threads";
  }
}

TEST_P(HifiGanGolden, BlocksEqualOneCallForTheWholeUtterance) {
  Golden golden(GetParam());
  std::vector<float> memory = random_mel(100, golden.mel().cols());
  const Tensor mel(memory.data(), {100, golden.mel().cols()}, nn::DType::kF32);
  const std::vector<float> whole = synthesize(golden.vocoder(Precision::kF32, 160), mel);
  for (const int64_t block : {5, 12, 30})
    EXPECT_LT(distance(synthesize(golden.vocoder(Precision::kF32, block), mel), whole), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, HifiGanGolden, testing::Values("speecht5", "v1", "v2", "v3"),
                         [](const auto& info) { return std::string(info.param); });

TEST(HifiGan, ShortUtterancesAreWhole) {
  Golden golden("v1");
  const HifiGan vocoder = golden.vocoder();
  for (const int64_t frames : {0, 1, 2}) {
    const std::vector<float> samples = synthesize(vocoder, golden.mel().slice_rows(0, frames));
    EXPECT_EQ(samples.size(), static_cast<size_t>(frames * vocoder.hop_length()));
  }
}

TEST(HifiGan, SamplesComeAsSoonAsTheReceptiveFieldAllows) {
  Golden golden("speecht5");
  const HifiGan vocoder = golden.vocoder(Precision::kF32, 4);
  EXPECT_EQ(vocoder.receptive_frames(), 24);
  std::vector<float> memory = random_mel(40, vocoder.n_mels());
  HifiGanStream stream(vocoder);
  nn::Context ctx({.threads = 1});
  std::vector<float> samples;
  for (int64_t t = 0; t < 40; ++t) {
    stream.push(
        ctx, Tensor(memory.data() + t * vocoder.n_mels(), {1, vocoder.n_mels()}, nn::DType::kF32),
        samples);
    const int64_t blocks = (t + 1) / 4 * 4;
    EXPECT_GE(static_cast<int64_t>(samples.size()),
              std::max<int64_t>(0, blocks - vocoder.receptive_frames()) * vocoder.hop_length());
  }
}

// Beyond it only roundings differ, because outputs are computed four at a time.
TEST(HifiGan, FramesReachAsFarAsTheReceptiveField) {
  Golden golden("v3");
  const HifiGan vocoder = golden.vocoder(Precision::kF32, 8);
  std::vector<float> memory = random_mel(120, vocoder.n_mels());
  const Tensor mel(memory.data(), {120, vocoder.n_mels()}, nn::DType::kF32);
  const std::vector<float> before = synthesize(vocoder, mel);
  for (int64_t k = 0; k < vocoder.n_mels(); ++k) mel.row(60)[k] += 3;
  const std::vector<float> after = synthesize(vocoder, mel);
  const auto hop = static_cast<size_t>(vocoder.hop_length());
  const auto difference = [&](int64_t t) {
    const size_t first = static_cast<size_t>(t) * hop;
    return distance(std::span(before).subspan(first, hop), std::span(after).subspan(first, hop));
  };
  const int64_t reach = vocoder.receptive_frames();
  for (int64_t t = 0; t < 120; ++t) {
    if (std::abs(t - 60) > reach) {
      EXPECT_LT(difference(t), 1e-5) << t;
    }
  }
  EXPECT_GT(difference(60), 0.01);
}

TEST(HifiGan, StopsBetweenLayers) {
  Golden golden("v1");
  const HifiGan vocoder = golden.vocoder();
  std::stop_source stop;
  nn::Context ctx({.threads = 1, .stop = stop.get_token()});
  stop.request_stop();
  EXPECT_THROW(vocoder::synthesize(ctx, vocoder, golden.mel()), Stopped);
}

TEST(HifiGan, StateDoesNotGrow) {
  Golden golden("v2");
  const HifiGan vocoder = golden.vocoder(Precision::kF32, 10);
  std::vector<float> memory = random_mel(50, vocoder.n_mels());
  const Tensor mel(memory.data(), {50, vocoder.n_mels()}, nn::DType::kF32);
  nn::Context ctx({.threads = 1});
  HifiGanStream stream(vocoder);
  std::vector<float> samples;
  stream.push(ctx, mel, samples);
  const size_t state = stream.bytes(), scratch = ctx.arena().reserved_bytes();
  for (int i = 0; i < 5; ++i) stream.push(ctx, mel, samples);
  EXPECT_EQ(stream.bytes(), state);
  EXPECT_EQ(ctx.arena().reserved_bytes(), scratch);
}

TEST(HifiGan, RefusesInt8) {
  Golden golden("v2");
  EXPECT_THROW(golden.vocoder(Precision::kInt8), Error);
}

}  // namespace
}  // namespace parley::vocoder
