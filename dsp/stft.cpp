#include "parley/dsp/stft.h"

#include <fftw3.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/core/nn/tensor.h"

namespace parley::dsp {

std::mutex& fftw_planner_mutex() {
  static std::mutex mutex;
  return mutex;
}

namespace {

void check(const StftConfig& config) {
  const bool sane = config.n_fft >= 2 && config.n_fft <= 65536 && config.n_fft % 2 == 0 &&
                    config.win_length >= 1 && config.win_length <= config.n_fft &&
                    config.hop_length >= 1 && config.hop_length <= config.win_length;
  if (!sane) {
    throw Error("STFT", "cannot have n_fft " + std::to_string(config.n_fft) + ", window " +
                            std::to_string(config.win_length) + ", hop " +
                            std::to_string(config.hop_length));
  }
}

}  // namespace

struct Stft::Plan {
  // Working memory of one call, aligned as the plans expect it.
  struct Scratch {
    explicit Scratch(int n_fft)
        : frame_memory(static_cast<size_t>(n_fft) * sizeof(float)),
          spectrum_memory(static_cast<size_t>(n_fft / 2 + 1) * sizeof(fftwf_complex)) {}
    nn::Buffer frame_memory, spectrum_memory;
    float* frame = frame_memory.as<float>();
    fftwf_complex* spectrum = spectrum_memory.as<fftwf_complex>();
  };

  explicit Plan(const StftConfig& wanted) : config(wanted) {
    check(config);
    window.resize(static_cast<size_t>(config.n_fft));
    const int first = (config.n_fft - config.win_length) / 2;
    for (int i = 0; i < config.win_length; ++i) {
      window[static_cast<size_t>(first + i)] =
          static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / config.win_length));
    }
    Scratch scratch(config.n_fft);
    const std::lock_guard lock(fftw_planner_mutex());
    there = fftwf_plan_dft_r2c_1d(config.n_fft, scratch.frame, scratch.spectrum, FFTW_ESTIMATE);
    back = fftwf_plan_dft_c2r_1d(config.n_fft, scratch.spectrum, scratch.frame, FFTW_ESTIMATE);
  }
  ~Plan() {
    const std::lock_guard lock(fftw_planner_mutex());
    fftwf_destroy_plan(there);
    fftwf_destroy_plan(back);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  StftConfig config;
  std::vector<float> window;  // [n_fft]
  fftwf_plan there = nullptr;
  fftwf_plan back = nullptr;
};

Stft::Stft(const StftConfig& config) : plan_(std::make_unique<Plan>(config)) {}
Stft::~Stft() = default;
Stft::Stft(Stft&&) noexcept = default;

const StftConfig& Stft::config() const { return plan_->config; }
int64_t Stft::bins() const { return plan_->config.n_fft / 2 + 1; }

int64_t Stft::samples(int64_t frames) const {
  return frames <= 0 ? 0 : (frames - 1) * plan_->config.hop_length + plan_->config.n_fft;
}

void Stft::forward(std::span<const float> samples, std::span<std::complex<float>> spectrum) const {
  const auto bins = static_cast<size_t>(this->bins());
  const size_t frames = spectrum.size() / bins;
  assert(spectrum.size() % bins == 0 &&
         samples.size() >= static_cast<size_t>(this->samples(static_cast<int64_t>(frames))));
  Plan::Scratch scratch(plan_->config.n_fft);
  for (size_t t = 0; t < frames; ++t) {
    const float* frame = samples.data() + t * static_cast<size_t>(plan_->config.hop_length);
    for (size_t i = 0; i < plan_->window.size(); ++i)
      scratch.frame[i] = frame[i] * plan_->window[i];
    fftwf_execute_dft_r2c(plan_->there, scratch.frame, scratch.spectrum);
    for (size_t k = 0; k < bins; ++k)
      spectrum[t * bins + k] = {scratch.spectrum[k][0], scratch.spectrum[k][1]};
  }
}

void Stft::inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples) const {
  constexpr float kUnseen = 1e-6f;  // of the summed squares of the window
  const auto bins = static_cast<size_t>(this->bins());
  const size_t frames = spectrum.size() / bins;
  assert(samples.size() == static_cast<size_t>(this->samples(static_cast<int64_t>(frames))));
  Plan::Scratch scratch(plan_->config.n_fft);
  const float scale = 1.f / static_cast<float>(plan_->config.n_fft);
  std::vector<float> weight(samples.size());
  std::fill(samples.begin(), samples.end(), 0.f);
  for (size_t t = 0; t < frames; ++t) {
    for (size_t k = 0; k < bins; ++k) {
      scratch.spectrum[k][0] = spectrum[t * bins + k].real();
      scratch.spectrum[k][1] = spectrum[t * bins + k].imag();
    }
    fftwf_execute_dft_c2r(plan_->back, scratch.spectrum, scratch.frame);
    const size_t first = t * static_cast<size_t>(plan_->config.hop_length);
    for (size_t i = 0; i < plan_->window.size(); ++i) {
      samples[first + i] += scratch.frame[i] * scale * plan_->window[i];
      weight[first + i] += plan_->window[i] * plan_->window[i];
    }
  }
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = weight[i] > kUnseen ? samples[i] / weight[i] : 0.f;
}

}  // namespace parley::dsp
