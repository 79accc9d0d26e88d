#include "parley/dsp/stft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/dsp/mel_filters.h"

namespace parley::dsp {
namespace {

using Complex = std::complex<float>;

std::vector<float> noise(int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> samples(static_cast<size_t>(count));
  for (float& sample : samples) sample = normal(generator);
  return samples;
}

TEST(Stft, IsTheTransformOfEachWindowedFrame) {
  const Stft stft({.n_fft = 16, .win_length = 10, .hop_length = 4});
  const std::vector<float> samples = noise(stft.samples(3));
  std::vector<Complex> spectrum(static_cast<size_t>(3 * stft.bins()));
  stft.forward(samples, spectrum);
  for (int64_t t = 0; t < 3; ++t) {
    for (int64_t k = 0; k < stft.bins(); ++k) {
      std::complex<double> sum = 0;
      for (int i = 0; i < 10; ++i) {  // the window lies in the middle: from sample 3 on
        const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / 10);
        const double angle = -2 * std::numbers::pi * static_cast<double>(k * (i + 3)) / 16;
        sum += std::polar(window * samples[static_cast<size_t>(t * 4 + i + 3)], angle);
      }
      const Complex value = spectrum[static_cast<size_t>(t * stft.bins() + k)];
      ASSERT_NEAR(value.real(), sum.real(), 1e-5);
      ASSERT_NEAR(value.imag(), sum.imag(), 1e-5);
    }
  }
}

TEST(Stft, InverseGivesTheSignalBack) {
  for (const StftConfig& config :
       {StftConfig{}, StftConfig{400, 400, 160}, StftConfig{64, 48, 7}}) {
    const Stft stft(config);
    const int64_t frames = 20;
    const std::vector<float> samples = noise(stft.samples(frames));
    std::vector<Complex> spectrum(static_cast<size_t>(frames * stft.bins()));
    stft.forward(samples, spectrum);
    std::vector<float> back(samples.size());
    stft.inverse(spectrum, back);
    for (size_t i = static_cast<size_t>(config.n_fft) / 2;
         i < samples.size() - static_cast<size_t>(config.n_fft) / 2; ++i)
      ASSERT_NEAR(back[i], samples[i], 1e-4) << config.n_fft << " at " << i;
  }
}

TEST(Stft, RefusesWindowsThatDoNotFit) {
  EXPECT_THROW(Stft({.n_fft = 256, .win_length = 512, .hop_length = 64}), Error);
  EXPECT_THROW(Stft({.n_fft = 255, .win_length = 128, .hop_length = 64}), Error);
  EXPECT_THROW(Stft({.n_fft = 256, .win_length = 256, .hop_length = 0}), Error);
}

TEST(MelFilters, OfHtkAndWithoutAreaNormHaveHeightOne) {
  const auto filters = mel_filters({.sample_rate = 16000,
                                    .n_fft = 4096,
                                    .n_mels = 8,
                                    .f_min = 0,
                                    .f_max = 8000,
                                    .htk = true,
                                    .area_norm = false});
  ASSERT_EQ(filters.size(), 8u);
  for (const MelFilter& filter : filters) {
    float highest = 0;
    for (const float weight : filter.weights) highest = std::max(highest, weight);
    EXPECT_NEAR(highest, 1, 0.05);
  }
  // Neighbouring triangles overlap so that between two peaks they add up to one.
  std::vector<float> sum(2049);
  for (const MelFilter& filter : filters) {
    for (size_t i = 0; i < filter.weights.size(); ++i)
      sum[static_cast<size_t>(filter.first_bin) + i] += filter.weights[i];
  }
  for (int bin = 200; bin < 1200; ++bin) EXPECT_NEAR(sum[static_cast<size_t>(bin)], 1, 1e-5);
}

}  // namespace
}  // namespace parley::dsp
