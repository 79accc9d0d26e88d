#include "parley/vocoder/griffin_lim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "parley/core/base/error.h"

namespace parley::vocoder {
namespace {

using nn::Tensor;

constexpr int64_t kFrames = 60;

stage::MelContract jik876() {
  return {.sample_rate = 22050, .f_min = 0, .f_max = 8000, .log = "ln", .log_floor = 1e-5};
}

// A gliding voice: harmonics, swelling and fading.
std::vector<float> voice(const stage::MelContract& mel) {
  std::vector<float> samples(static_cast<size_t>(kFrames * mel.hop_length));
  double phase = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(mel.sample_rate);
    phase += 2 * std::numbers::pi * (120 + 60 * t) / static_cast<double>(mel.sample_rate);
    double sum = 0;
    for (int harmonic = 1; harmonic <= 25; ++harmonic) sum += std::sin(harmonic * phase) / harmonic;
    samples[i] = static_cast<float>(0.2 * sum * (0.3 + std::abs(std::sin(3 * t))));
  }
  return samples;
}

struct Spectrogram {
  explicit Spectrogram(const stage::MelContract& mel)
      : values(static_cast<size_t>(kFrames * mel.n_mels)),
        tensor(values.data(), {kFrames, mel.n_mels}, nn::DType::kF32) {}
  std::vector<float> values;
  Tensor tensor;
};

// Spectral convergence in dB: how far the magnitudes of the bands are off.
double error_db(const Spectrogram& wanted, const Spectrogram& found, bool ln) {
  double distance = 0, size = 0;
  for (size_t i = 0; i < wanted.values.size(); ++i) {
    const double base = ln ? std::numbers::e : 10;
    const double a = std::pow(base, wanted.values[i]), b = std::pow(base, found.values[i]);
    distance += (a - b) * (a - b);
    size += a * a;
  }
  return 10 * std::log10(distance / size);
}

double resynthesized_db(const stage::MelContract& mel, const GriffinLimOptions& options) {
  const GriffinLim griffin_lim(mel, options);
  Spectrogram wanted(mel), found(mel);
  griffin_lim.analyze(voice(mel), wanted.tensor);
  nn::Context ctx({.threads = 1});
  const std::vector<float> samples = griffin_lim.synthesize(ctx, wanted.tensor);
  EXPECT_EQ(samples.size(), static_cast<size_t>(kFrames * mel.hop_length));
  griffin_lim.analyze(samples, found.tensor);
  return error_db(wanted, found, mel.log == "ln");
}

TEST(GriffinLim, MakesSamplesThatHaveTheMelFrames) {
  EXPECT_LT(resynthesized_db({}, {}), -20);
  EXPECT_LT(resynthesized_db(jik876(), {}), -20);
  stage::MelContract power;
  power.spectrum = "power";
  EXPECT_LT(resynthesized_db(power, {}), -20);
}

TEST(GriffinLim, GetsCloserWithIterationsAndMomentum) {
  const double none = resynthesized_db({}, {.iterations = 0});
  const double plain = resynthesized_db({}, {.iterations = 16, .momentum = 0});
  const double fast = resynthesized_db({}, {.iterations = 16});
  EXPECT_LT(plain, none - 3);
  EXPECT_LT(fast, plain);
}

TEST(GriffinLim, RepeatsItselfWithTheSameSeed) {
  const stage::MelContract mel;
  Spectrogram frames(mel);
  GriffinLim(mel).analyze(voice(mel), frames.tensor);
  nn::Context ctx({.threads = 1});
  const GriffinLimOptions options{.iterations = 2, .seed = 5};
  const auto once = GriffinLim(mel, options).synthesize(ctx, frames.tensor);
  EXPECT_EQ(once, GriffinLim(mel, options).synthesize(ctx, frames.tensor));
  EXPECT_NE(once, GriffinLim(mel, {.iterations = 2, .seed = 6}).synthesize(ctx, frames.tensor));
}

TEST(GriffinLim, AStreamGivesTheUtteranceAtItsEnd) {
  const stage::MelContract mel;
  Spectrogram frames(mel);
  const GriffinLim griffin_lim(mel, {.iterations = 2});
  griffin_lim.analyze(voice(mel), frames.tensor);
  nn::Context ctx({.threads = 1});
  const std::vector<float> whole = griffin_lim.synthesize(ctx, frames.tensor);
  GriffinLimStream stream(griffin_lim);
  for (const int64_t chunk : {1, 7, 60}) {
    std::vector<float> samples;
    for (int64_t begin = 0; begin < kFrames; begin += chunk)
      stream.push(ctx, frames.tensor.slice_rows(begin, std::min(chunk, kFrames - begin)), samples);
    EXPECT_TRUE(samples.empty());
    stream.finish(ctx, samples);
    EXPECT_EQ(samples, whole) << chunk;
    stream.reset();
  }
}

TEST(GriffinLim, AStreamClipsWhatIsTooLoud) {
  const stage::MelContract mel;
  Spectrogram frames(mel);
  std::fill(frames.values.begin(), frames.values.end(), 3.f);
  const GriffinLim griffin_lim(mel, {.iterations = 1});
  nn::Context ctx({.threads = 1});
  GriffinLimStream stream(griffin_lim);
  std::vector<float> samples;
  stream.push(ctx, frames.tensor, samples);
  stream.finish(ctx, samples);
  const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
  EXPECT_EQ(*low, -1.f);
  EXPECT_EQ(*high, 1.f);
}

TEST(GriffinLim, SilenceIsSilent) {
  const stage::MelContract mel;
  Spectrogram frames(mel);
  std::fill(frames.values.begin(), frames.values.end(), -10.f);
  nn::Context ctx({.threads = 1});
  for (const float sample : GriffinLim(mel).synthesize(ctx, frames.tensor))
    ASSERT_LT(std::abs(sample), 1e-6);
  EXPECT_TRUE(GriffinLim(mel).synthesize(ctx, frames.tensor.slice_rows(0, 0)).empty());
}

TEST(GriffinLim, Stops) {
  const stage::MelContract mel;
  Spectrogram frames(mel);
  std::stop_source stop;
  stop.request_stop();
  nn::Context ctx({.threads = 1, .stop = stop.get_token()});
  EXPECT_THROW(GriffinLim(mel).synthesize(ctx, frames.tensor), Stopped);
}

}  // namespace
}  // namespace parley::vocoder
