// Which channels are heard, and how loud.
#include "parley/dsp/channel_mix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parley/tests/dsp/signals.h"

namespace parley::dsp {
namespace {

constexpr int kRate = 16000;
constexpr uint64_t k51 = 0x3F, kStereo = 3;  // WAVE_FORMAT_EXTENSIBLE's speakers

double energy(std::span<const float> samples) {
  double sum = 0;
  for (const float sample : samples) sum += double{sample} * sample;
  return sum / static_cast<double>(samples.size());
}

std::vector<float> interleaved(const std::vector<std::vector<float>>& channels) {
  std::vector<float> out;
  for (size_t i = 0; i < channels[0].size(); ++i)
    for (const auto& channel : channels) out.push_back(channel[i]);
  return out;
}

std::vector<float> mixed(ChannelMix& mix, std::vector<float> samples, ChannelLayout layout,
                         size_t block = 100000) {
  const size_t frames = samples.size() / static_cast<size_t>(layout.channels);
  std::vector<float> out(frames);
  for (size_t at = 0; at < frames; at += block) {
    const size_t count = std::min(block, frames - at);
    const auto channels = static_cast<size_t>(layout.channels);
    mix.mix(std::span(samples).subspan(at * channels, count * channels), layout, kRate,
            std::span(out).subspan(at, count));
  }
  return out;
}

std::vector<float> scaled(std::vector<float> samples, float by) {
  for (float& sample : samples) sample *= by;
  return samples;
}

// ITU-R BS.775: left and right 0.71, centre 1, surround 0.5, and the sum 1.
TEST(DownmixWeights, AreThoseOfTheLayout) {
  const auto weights = downmix_weights({6, k51});
  const double sum = 2 * M_SQRT1_2 + 1 + 2 * 0.5;
  const double expected[] = {M_SQRT1_2 / sum, M_SQRT1_2 / sum, 1 / sum, 0, 0.5 / sum, 0.5 / sum};
  ASSERT_EQ(weights.size(), 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(weights[i], expected[i], 1e-6) << i;
  EXPECT_EQ(downmix_weights({2, kStereo}), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_EQ(downmix_weights({2, 0}), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_EQ(downmix_weights({1, 4}), std::vector<float>{1.0f});
}

TEST(DownmixWeights, WithoutSpeakersNoChannelIsLeftOut) {
  for (const int channels : {3, 4, 6, 8, 24, 64}) {
    double sum = 0;
    for (const float weight : downmix_weights({channels, 0})) {
      EXPECT_GT(weight, 0) << channels;
      sum += weight;
    }
    EXPECT_NEAR(sum, 1, 1e-5) << channels;
  }
}

TEST(ChannelMix, OppositeChannelsAreHeardAsOne) {
  const auto speech = test::noise(2 * kRate, 0.1, 1);
  for (const float gain : {-1.0f, -0.9f, -1.2f}) {
    ChannelMix mix(std::nullopt);
    const auto out = mixed(mix, interleaved({speech, scaled(speech, gain)}), {2, kStereo});
    EXPECT_GT(energy(std::span(out).subspan(kRate / 10)), 0.7 * energy(speech)) << gain;
    EXPECT_GT(mix.cancelled_seconds(), 1.9);
    for (size_t i = 1; i < out.size(); ++i) ASSERT_LT(std::fabs(out[i]), 0.7f);
  }
}

TEST(ChannelMix, UsualChannelsAreMixedAsTheyAre) {
  const auto left = test::noise(2 * kRate, 0.1, 1), right = test::noise(2 * kRate, 0.1, 2);
  const std::vector<float> silence(left.size());
  for (const auto& channels :
       {std::vector{left, left}, std::vector{left, right}, std::vector{left, silence},
        std::vector{silence, silence}, std::vector{left, scaled(left, 0.3f)}}) {
    ChannelMix mix(std::nullopt);
    const auto out = mixed(mix, interleaved(channels), {2, kStereo});
    for (size_t i = 0; i < out.size(); ++i)
      ASSERT_FLOAT_EQ(out[i], 0.5f * channels[0][i] + 0.5f * channels[1][i]);
    EXPECT_EQ(mix.cancelled_seconds(), 0);
  }
}

// From one 20 ms to the next, without a step.
TEST(ChannelMix, TheChangeIsFadedAndEndsWithTheCause) {
  const auto tone = test::sine(200, kRate, 4 * kRate, 0.5);
  auto right = tone;
  for (size_t i = kRate; i < 3 * kRate; ++i) right[i] = -right[i];
  ChannelMix mix(std::nullopt);
  const auto out = mixed(mix, interleaved({tone, right}), {2, kStereo});
  for (size_t i = 1; i < out.size(); ++i) ASSERT_LT(std::fabs(out[i] - out[i - 1]), 0.1) << i;
  for (const size_t second : {0u, 1u, 2u, 3u}) {
    const auto part = std::span(out).subspan(second * kRate + kRate / 5, kRate / 2);
    EXPECT_NEAR(energy(part), 0.125, 0.01) << second;
  }
  EXPECT_NEAR(mix.cancelled_seconds(), 2, 0.15);
}

TEST(ChannelMix, BlockSizesChangeNothing) {
  const auto speech = test::noise(kRate, 0.1, 3);
  const auto samples = interleaved({speech, scaled(speech, -1), test::noise(kRate, 0.01, 4)});
  ChannelMix whole(std::nullopt);
  const auto expected = mixed(whole, samples, {3, 7});
  for (const size_t block : {1u, 7u, 160u, 4096u}) {
    ChannelMix mix(std::nullopt);
    EXPECT_EQ(mixed(mix, samples, {3, 7}, block), expected) << block;
    EXPECT_EQ(mix.cancelled_seconds(), whole.cancelled_seconds());
  }
}

TEST(ChannelMix, OneChannelCanBeChosen) {
  const auto left = test::noise(kRate, 0.1, 1), right = test::noise(kRate, 0.1, 2);
  ChannelMix second(2);
  EXPECT_EQ(mixed(second, interleaved({left, right}), {2, kStereo}), right);
  EXPECT_EQ(second.missing_seconds(), 0);
  EXPECT_EQ(mixed(second, left, {1, 4}), left);  // goes on with what there is, and says so
  EXPECT_EQ(second.missing_seconds(), 1);
}

TEST(ChannelMix, WhatIsNoSoundIsSilence) {
  ChannelMix mix(std::nullopt);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto out = mixed(mix, {nan, 1, 0.5f, -INFINITY, 1e30f, 0}, {2, kStereo});
  EXPECT_EQ(out, (std::vector<float>{0.5f, 0.25f, 0}));
  EXPECT_EQ(mix.non_finite_samples(), 3);
}

}  // namespace
}  // namespace parley::dsp
