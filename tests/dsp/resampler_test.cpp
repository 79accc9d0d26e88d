#include "parley/dsp/resampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "parley/tests/dsp/signals.h"

namespace parley::dsp {
namespace {

std::vector<float> resample(std::span<const float> input, int rate, size_t block) {
  Resampler resampler(rate, kSampleRate);
  std::vector<float> out;
  for (size_t at = 0; at < input.size(); at += block) {
    resampler.convert(input.subspan(at, std::min(block, input.size() - at)), out);
  }
  resampler.finish(out);
  return out;
}

class ResamplerAt : public testing::TestWithParam<int> {};

// Against the sine computed at 16 kHz: frequency, amplitude, alignment at the start and after 20 s
// (no drift), in one bound.
TEST_P(ResamplerAt, KeepsASineWhereItIs) {
  const int rate = GetParam();
  for (const double hz : {100.0, 1000.0, 3000.0}) {
    const auto input = test::sine(hz, rate, static_cast<size_t>(rate) * 20);
    const auto expected = test::sine(hz, kSampleRate, 320000);
    const auto out = resample(input, rate, 1000);
    ASSERT_EQ(out.size(), expected.size()) << hz;
    float worst = 0, worst_at_edges = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const bool edge = i < 64 || i + 64 > out.size();  // the filter mirrors what it cannot see
      float& bound = edge ? worst_at_edges : worst;
      bound = std::max(bound, std::fabs(out[i] - expected[i]));
    }
    EXPECT_LT(worst, 2e-3f) << hz << " Hz";
    EXPECT_LT(worst_at_edges, 0.5f) << hz << " Hz";
  }
}

TEST_P(ResamplerAt, LengthIsExact) {
  const int rate = GetParam();
  for (const size_t frames : {0u, 1u, 2u, 100u, 4567u, 44101u}) {
    const auto out = resample(test::sine(50, rate, frames), rate, 333);
    EXPECT_EQ(out.size(),
              (frames * kSampleRate + static_cast<size_t>(rate) - 1) / static_cast<size_t>(rate))
        << frames;
  }
}

TEST_P(ResamplerAt, BlockSizesChangeNothing) {
  const int rate = GetParam();
  const auto input = test::noise(30000, 0.2, 3);
  const auto whole = resample(input, rate, input.size());
  for (const size_t block : {1u, 7u, 480u, 4096u})
    EXPECT_EQ(resample(input, rate, block), whole) << block;
}

INSTANTIATE_TEST_SUITE_P(Rates, ResamplerAt,
                         testing::Values(8000, 11025, 22050, 32000, 44100, 48000, 96000));

TEST(Resampler, RemovesWhatWouldAlias) {
  const auto out = resample(test::sine(10000, 44100, 44100 * 2), 44100, 4096);
  double energy = 0;
  for (size_t i = 1000; i + 1000 < out.size(); ++i) energy += static_cast<double>(out[i]) * out[i];
  EXPECT_LT(10 * std::log10(energy / static_cast<double>(out.size() - 2000) / 0.125), -80);
}

}  // namespace
}  // namespace parley::dsp
