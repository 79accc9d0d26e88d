#include "parley/dsp/voice_front_end.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "parley/dsp/microphone.h"

namespace parley::dsp {
namespace {

constexpr size_t kFrame = VoiceFrontEnd::kFrame;

std::vector<float> noise(double seconds, float level, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, level);
  std::vector<float> samples(static_cast<size_t>(seconds * 16000));
  for (float& sample : samples) sample = normal(random);
  return samples;
}

std::vector<float> tone(double seconds, double hz, float level) {
  std::vector<float> samples(static_cast<size_t>(seconds * 16000));
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = level * static_cast<float>(
                             std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / 16000));
  return samples;
}

// Mean power of the last second, in dB.
double level_of(const std::vector<float>& samples) {
  double sum = 0;
  for (size_t i = samples.size() - 16000; i < samples.size(); ++i)
    sum += static_cast<double>(samples[i]) * samples[i];
  return 10 * std::log10(sum / 16000 + 1e-12);
}

std::vector<float> run(VoiceFrontEnd& front_end, std::vector<float> samples) {
  for (size_t at = 0; at + kFrame <= samples.size(); at += kFrame)
    front_end.process(std::span<float, kFrame>(samples.data() + at, kFrame));
  return samples;
}

TEST(VoiceFrontEnd, TakesAwayHumAndKeepsVoices) {
  VoiceFrontEnd front_end({.noise_suppression = false, .gain_control = false});
  const auto hum = tone(2, 30, 0.2f);
  EXPECT_LT(level_of(run(front_end, hum)), level_of(hum) - 10);
  const auto voice = tone(2, 440, 0.2f);
  EXPECT_NEAR(level_of(run(front_end, voice)), level_of(voice), 1);
}

TEST(VoiceFrontEnd, SuppressesStationaryNoise) {
  VoiceFrontEnd front_end({.gain_control = false});
  const auto hiss = noise(4, 0.02f, 1);
  EXPECT_LT(level_of(run(front_end, hiss)), level_of(hiss) - 6);
}

// The loudspeaker's sound comes back 60 ms later and quieter, into a room with some noise.
std::vector<float> cancelled(float room_noise, double& before) {
  VoiceFrontEnd front_end({.gain_control = false, .echo_cancellation = true});
  std::vector<float> far = noise(8, 0.1f, 2);
  for (size_t i = 0; i < far.size(); ++i)  // a rhythm, as speech has
    far[i] *= static_cast<float>(0.6 + 0.4 * std::sin(static_cast<double>(i) / 2000));
  std::vector<float> near = noise(8, room_noise, 3);
  constexpr size_t kDelay = 960;
  for (size_t i = kDelay; i < near.size(); ++i) near[i] += 0.5f * far[i - kDelay];
  before = level_of(near);
  for (size_t at = 0; at + kFrame <= near.size(); at += kFrame) {
    front_end.played(std::span<const float, kFrame>(far.data() + at, kFrame));
    front_end.process(std::span<float, kFrame>(near.data() + at, kFrame));
  }
  return near;
}

TEST(VoiceFrontEnd, CancelsWhatTheMachinePlays) {
  double before = 0;
  const std::vector<float> near = cancelled(0.001f, before);
  EXPECT_LT(level_of(near), before - 20);
}

TEST(VoiceFrontEnd, AnEchoWithoutNoiseGivesNumbers) {
  double before = 0;
  for (const float sample : cancelled(0, before)) ASSERT_TRUE(std::isfinite(sample));
}

TEST(VoiceFrontEnd, SurvivesWhatIsNoSound) {
  VoiceFrontEnd front_end({.echo_cancellation = true});
  std::vector<float> samples(kFrame, std::nanf(""));
  samples[3] = 1e30f;
  front_end.played(std::span<const float, kFrame>(samples.data(), kFrame));
  front_end.process(std::span<float, kFrame>(samples.data(), kFrame));
  for (const float sample : samples) EXPECT_TRUE(std::isfinite(sample));
}

TEST(SampleRing, KeepsOrderAndCountsWhatFindsNoRoom) {
  SampleRing ring(10);
  const std::vector<float> first = {1, 2, 3, 4, 5, 6, 7};
  ring.push(first.data(), first.size());
  std::vector<float> out(4);
  EXPECT_EQ(ring.pop(out), 4u);
  EXPECT_EQ(out, (std::vector<float>{1, 2, 3, 4}));
  ring.push(first.data(), first.size());  // around the end
  EXPECT_EQ(ring.lost(), 0u);
  ring.push(first.data(), first.size());
  EXPECT_EQ(ring.lost(), 7u);
  out.resize(20);
  EXPECT_EQ(ring.pop(out), 10u);
  out.resize(10);
  EXPECT_EQ(out, (std::vector<float>{5, 6, 7, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(ring.pop(out), 0u);
}

}  // namespace
}  // namespace parley::dsp
