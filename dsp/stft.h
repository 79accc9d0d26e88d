// The short-time Fourier transform and its inverse, by FFTW.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace parley::dsp {

// FFTW's planner is the one part of it that is not thread-safe.
std::mutex& fftw_planner_mutex();

struct StftConfig {
  int n_fft = 1024;       // even
  int win_length = 1024;  // periodic Hann window, in the middle of n_fft samples
  int hop_length = 256;   // at most win_length
};

// Frame t begins at sample t * hop_length; whoever wants frames centred pads the signal. Const
// functions may run in several threads.
class Stft {
 public:
  // Throws Error when the configuration makes no sense.
  explicit Stft(const StftConfig& config);
  ~Stft();
  Stft(Stft&&) noexcept;

  const StftConfig& config() const;
  int64_t bins() const;  // n_fft / 2 + 1
  // Samples that so many frames span.
  int64_t samples(int64_t frames) const;

  // samples: samples(frames) -> spectrum: [frames, bins()].
  void forward(std::span<const float> samples, std::span<std::complex<float>> spectrum) const;
  // The signal whose transform is nearest to `spectrum` (least squares; Griffin & Lim 1984, eq. 6).
  // Samples that the window hardly sees, at both ends, become 0.
  void inverse(std::span<const std::complex<float>> spectrum, std::span<float> samples) const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace parley::dsp
