#include "parley/encoder/whisper.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/tests/golden/golden_model.h"

namespace parley::encoder {
namespace {

using nn::Precision;
using nn::Tensor;

nn::ThreadTeam& team() {
  static nn::ThreadTeam two(2);
  return two;
}

std::vector<float> encode(const WhisperEncoder& encoder, std::vector<float> mel, int threads = 2) {
  nn::Context ctx({.threads = threads});
  std::vector<float> features(static_cast<size_t>(encoder.positions() * encoder.d_model()));
  encoder.run(ctx, Tensor(mel.data(), {encoder.frames(), encoder.n_mels()}, nn::DType::kF32),
              Tensor(features.data(), {encoder.positions(), encoder.d_model()}, nn::DType::kF32));
  return features;
}

class EncoderGolden : public testing::TestWithParam<const char*> {
 protected:
  // Largest distance from the reference over the stored positions.
  static double distance(const test::GoldenModel& golden, const std::vector<float>& features,
                         const std::string& clip) {
    const Tensor expected = golden.tensors.tensor("features." + clip);  // every 25th position
    double worst = 0;
    for (int64_t i = 0; i < expected.shape[0]; ++i) {
      for (int64_t d = 0; d < expected.shape[1]; ++d) {
        const float value = features[static_cast<size_t>(i * 25 * expected.shape[1] + d)];
        worst = std::max<double>(worst, std::abs(value - expected.row(i)[d]));
      }
    }
    return worst;
  }
};

TEST_P(EncoderGolden, EqualsTheReferenceInF32) {
  const test::GoldenModel golden(GetParam());
  const WhisperEncoder encoder(golden.model.stage("encoder"), Precision::kF32, team());
  for (const char* clip : {"vowels", "noise"}) {
    const std::vector<float> features = encode(encoder, golden.mel(clip));
    EXPECT_LT(distance(golden, features, clip), 1e-3) << clip;
    const Tensor mean = golden.tensors.tensor(std::string("features_mean.") + clip);
    for (int64_t d = 0; d < encoder.d_model(); ++d) {
      double sum = 0;
      for (int64_t t = 0; t < 1500; ++t)
        sum += features[static_cast<size_t>(t * encoder.d_model() + d)];
      ASSERT_NEAR(sum / 1500, mean.f32()[d], 1e-4);
    }
  }
}

TEST_P(EncoderGolden, StaysNearTheReferenceInTheFastKinds) {
  const test::GoldenModel golden(GetParam());
  for (const Precision precision : {Precision::kAuto, Precision::kInt8, Precision::kBF16}) {
    if (precision == Precision::kBF16 && nn::isa() < nn::Isa::kAvx512) continue;
    const WhisperEncoder encoder(golden.model.stage("encoder"), precision, team());
    EXPECT_LT(distance(golden, encode(encoder, golden.mel("vowels")), "vowels"), 0.35)
        << name_of(precision);
  }
}

TEST_P(EncoderGolden, DoesNotDependOnThreads) {
  const test::GoldenModel golden(GetParam());
  const WhisperEncoder encoder(golden.model.stage("encoder"), Precision::kF32, team());
  const std::vector<float> two = encode(encoder, golden.mel("vowels"), 2);
  const std::vector<float> one = encode(encoder, golden.mel("vowels"), 1);
  for (size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(one[i], two[i], 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Models, EncoderGolden, testing::Values("multilingual-80", "english-128"), [](const auto& info) {
      return std::string(info.param).substr(0, std::string(info.param).find('-'));
    });

TEST(WhisperEncoder, StopsBetweenLayers) {
  const test::GoldenModel golden("multilingual-80");
  const WhisperEncoder encoder(golden.model.stage("encoder"), Precision::kF32, team());
  std::stop_source stop;
  stop.request_stop();
  nn::Context ctx({.threads = 1, .stop = stop.get_token()});
  std::vector<float> mel = golden.mel("vowels");
  std::vector<float> features(static_cast<size_t>(encoder.positions() * encoder.d_model()));
  EXPECT_THROW(encoder.run(ctx, Tensor(mel.data(), {3000, 80}, nn::DType::kF32),
                           Tensor(features.data(), {1500, encoder.d_model()}, nn::DType::kF32)),
               Stopped);
}

}  // namespace
}  // namespace parley::encoder
