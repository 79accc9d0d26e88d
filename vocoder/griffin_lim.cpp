#include "parley/vocoder/griffin_lim.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <span>
#include <string>

#include "parley/core/base/error.h"
#include "parley/dsp/mel_filters.h"
#include "parley/dsp/stft.h"

namespace parley::vocoder {

namespace {

using Complex = std::complex<float>;

constexpr int kMelUpdates = 60;
constexpr float kTiny = 1e-12f;

dsp::StftConfig stft_config(const stage::MelContract& mel) {
  return {.n_fft = static_cast<int>(mel.n_fft),
          .win_length = static_cast<int>(mel.win_length),
          .hop_length = static_cast<int>(mel.hop_length)};
}

dsp::MelFilterConfig filter_config(const stage::MelContract& mel) {
  return {.sample_rate = static_cast<int>(mel.sample_rate),
          .n_fft = static_cast<int>(mel.n_fft),
          .n_mels = static_cast<int>(mel.n_mels),
          .f_min = mel.f_min,
          .f_max = mel.f_max,
          .htk = mel.mel_scale == "htk",
          .area_norm = mel.mel_norm == "slaney"};
}

}  // namespace

struct GriffinLim::Plan {
  Plan(const stage::MelContract& contract, const GriffinLimOptions& wanted)
      : mel(contract),
        options(wanted),
        stft(stft_config(contract)),
        filters(dsp::mel_filters(filter_config(contract))),
        bins(static_cast<size_t>(stft.bins())),
        edge(static_cast<size_t>(mel.n_fft - mel.hop_length) / 2) {
    if (options.iterations < 0 || options.momentum < 0 || options.momentum > 1)
      throw Error("Griffin-Lim", "wants iterations of at least 0 and a momentum of 0 to 1");
  }

  // spectrum [bins] -> bands [n_mels]
  void to_bands(std::span<const float> spectrum, std::span<float> bands) const {
    for (size_t m = 0; m < filters.size(); ++m) {
      const auto& [first, weights] = filters[m];
      float sum = 0;
      for (size_t i = 0; i < weights.size(); ++i)
        sum += weights[i] * spectrum[static_cast<size_t>(first) + i];
      bands[m] = sum;
    }
  }
  // The transposed filters: bands -> spectrum.
  void to_bins(std::span<const float> bands, std::span<float> spectrum) const {
    std::fill(spectrum.begin(), spectrum.end(), 0.f);
    for (size_t m = 0; m < filters.size(); ++m) {
      const auto& [first, weights] = filters[m];
      for (size_t i = 0; i < weights.size(); ++i)
        spectrum[static_cast<size_t>(first) + i] += weights[i] * bands[m];
    }
  }

  std::vector<float> magnitudes(const nn::Tensor& log_mel) const;
  std::vector<Complex> random_phases(std::span<const float> magnitude) const;

  stage::MelContract mel;
  GriffinLimOptions options;
  dsp::Stft stft;
  std::vector<dsp::MelFilter> filters;
  size_t bins;
  size_t edge;  // samples of the first and the last frame beyond the utterance
};

// log-mel -> magnitudes [frames, bins] whose bands come nearest.
std::vector<float> GriffinLim::Plan::magnitudes(const nn::Tensor& log_mel) const {
  const auto frames = static_cast<size_t>(log_mel.rows());
  std::vector<float> all(frames * bins);
  std::vector<float> wanted(filters.size()), bands(filters.size());
  std::vector<float> numerator(bins), denominator(bins);
  for (size_t t = 0; t < frames; ++t) {
    const std::span<float> spectrum(all.data() + t * bins, bins);
    const float* row = log_mel.row(static_cast<int64_t>(t));
    for (size_t m = 0; m < wanted.size(); ++m)
      wanted[m] = mel.log == "ln" ? std::exp(row[m]) : std::pow(10.f, row[m]);
    to_bins(wanted, numerator);
    std::copy(numerator.begin(), numerator.end(), spectrum.begin());
    for (int update = 0; update < kMelUpdates; ++update) {
      to_bands(spectrum, bands);
      to_bins(bands, denominator);
      for (size_t k = 0; k < bins; ++k)
        spectrum[k] *= numerator[k] / std::max(denominator[k], kTiny);
    }
    if (mel.spectrum == "power") {
      for (float& value : spectrum) value = std::sqrt(value);
    }
  }
  return all;
}

std::vector<Complex> GriffinLim::Plan::random_phases(std::span<const float> magnitude) const {
  std::mt19937_64 generator(options.seed);
  std::vector<Complex> spectrum(magnitude.size());
  for (size_t i = 0; i < spectrum.size(); ++i) {
    const double turn = static_cast<double>(generator() >> 11) * 0x1p-53;
    spectrum[i] = std::polar(magnitude[i], static_cast<float>(2 * std::numbers::pi * turn));
  }
  return spectrum;
}

GriffinLim::GriffinLim(const stage::MelContract& mel, const GriffinLimOptions& options)
    : plan_(std::make_unique<Plan>(mel, options)) {}
GriffinLim::~GriffinLim() = default;
GriffinLim::GriffinLim(GriffinLim&&) noexcept = default;

int64_t GriffinLim::n_mels() const { return plan_->mel.n_mels; }
int64_t GriffinLim::hop_length() const { return plan_->mel.hop_length; }

std::vector<float> GriffinLim::synthesize(nn::Context& ctx, const nn::Tensor& mel) const {
  const int64_t frames = mel.rows();
  if (frames == 0) return {};
  const std::vector<float> magnitude = plan_->magnitudes(mel);
  std::vector<Complex> spectrum = plan_->random_phases(magnitude);
  std::vector<Complex> possible(spectrum.size()), before(spectrum.size());
  std::vector<float> signal(static_cast<size_t>(plan_->stft.samples(frames)));
  for (int i = 0; i < plan_->options.iterations; ++i) {
    ctx.throw_if_stopped();
    plan_->stft.inverse(spectrum, signal);
    plan_->stft.forward(signal, possible);
    const float momentum = i == 0 ? 0.f : plan_->options.momentum;
    for (size_t k = 0; k < spectrum.size(); ++k) {
      const Complex ahead = possible[k] + momentum * (possible[k] - before[k]);
      const float size = std::abs(ahead);
      spectrum[k] = size > kTiny ? ahead * (magnitude[k] / size) : Complex(magnitude[k]);
    }
    std::swap(before, possible);
  }
  plan_->stft.inverse(spectrum, signal);
  const auto first = signal.begin() + static_cast<std::ptrdiff_t>(plan_->edge);
  return {first, first + frames * hop_length()};
}

void GriffinLim::analyze(std::span<const float> samples, const nn::Tensor& mel) const {
  const int64_t frames = mel.rows();
  if (frames == 0) return;
  std::vector<float> padded(static_cast<size_t>(plan_->stft.samples(frames)));
  const size_t count = std::min(samples.size(), padded.size() - plan_->edge);
  std::copy_n(samples.begin(), count, padded.begin() + static_cast<std::ptrdiff_t>(plan_->edge));
  std::vector<Complex> spectrum(static_cast<size_t>(frames) * plan_->bins);
  plan_->stft.forward(padded, spectrum);
  std::vector<float> magnitude(plan_->bins);
  for (int64_t t = 0; t < frames; ++t) {
    for (size_t k = 0; k < plan_->bins; ++k) {
      const Complex value = spectrum[static_cast<size_t>(t) * plan_->bins + k];
      magnitude[k] = plan_->mel.spectrum == "power" ? std::norm(value) : std::abs(value);
    }
    const std::span<float> bands(mel.row(t), plan_->filters.size());
    plan_->to_bands(magnitude, bands);
    for (float& value : bands) {
      value = std::max(value, static_cast<float>(plan_->mel.log_floor));
      value = plan_->mel.log == "ln" ? std::log(value) : std::log10(value);
    }
  }
}

void GriffinLimStream::push(nn::Context& /*ctx*/, const nn::Tensor& mel,
                            std::vector<float>& /*samples*/) {
  for (int64_t t = 0; t < mel.rows(); ++t)
    mel_.insert(mel_.end(), mel.row(t), mel.row(t) + vocoder_.n_mels());
}

void GriffinLimStream::finish(nn::Context& ctx, std::vector<float>& samples) {
  const auto frames = static_cast<int64_t>(mel_.size()) / vocoder_.n_mels();
  const nn::Tensor mel(mel_.data(), {frames, vocoder_.n_mels()}, nn::DType::kF32);
  for (const float sample : vocoder_.synthesize(ctx, mel))
    samples.push_back(std::clamp(sample, -1.f, 1.f));
}

}  // namespace parley::vocoder
