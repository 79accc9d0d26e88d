#include "parley/dsp/mel_filters.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace parley::dsp {

namespace {

constexpr double kLinearHz = 200.0 / 3;
constexpr double kLogFromMel = 15;
const double kLogStep = std::log(6.4) / 27;

double hz_to_mel(double hz, bool htk) {
  if (htk) return 2595 * std::log10(1 + hz / 700);
  return hz < 1000 ? hz / kLinearHz : kLogFromMel + std::log(hz / 1000) / kLogStep;
}

double mel_to_hz(double mel, bool htk) {
  if (htk) return 700 * (std::pow(10, mel / 2595) - 1);
  return mel < kLogFromMel ? mel * kLinearHz : 1000 * std::exp((mel - kLogFromMel) * kLogStep);
}

}  // namespace

std::vector<MelFilter> mel_filters(const MelFilterConfig& config) {
  const double low = hz_to_mel(config.f_min, config.htk);
  const double step = (hz_to_mel(config.f_max, config.htk) - low) / (config.n_mels + 1);
  std::vector<MelFilter> filters;
  for (int mel = 0; mel < config.n_mels; ++mel) {
    const double left = mel_to_hz(low + step * mel, config.htk);
    const double centre = mel_to_hz(low + step * (mel + 1), config.htk);
    const double right = mel_to_hz(low + step * (mel + 2), config.htk);
    MelFilter filter;
    for (int bin = 0; bin <= config.n_fft / 2; ++bin) {
      const double hz = static_cast<double>(bin) * config.sample_rate / config.n_fft;
      const double weight =
          std::min((hz - left) / (centre - left), (right - hz) / (right - centre));
      if (weight <= 0) continue;
      if (filter.weights.empty()) filter.first_bin = bin;
      filter.weights.push_back(
          static_cast<float>(config.area_norm ? weight * 2 / (right - left) : weight));
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

}  // namespace parley::dsp
