// Faster or slower speech at the same pitch.
#pragma once

#include <memory>
#include <span>
#include <vector>

namespace soundtouch {
class SoundTouch;
}

namespace parley::dsp {

// SoundTouch's WSOLA with its settings for speech, mono. The block sizes change nothing.
class TimeStretch {
 public:
  static constexpr double kSlowest = 0.25;
  static constexpr double kFastest = 4;

  // tempo: 2 is twice as fast. Throws Error outside [kSlowest, kFastest].
  TimeStretch(int sample_rate, double tempo);
  ~TimeStretch();
  TimeStretch(TimeStretch&&) noexcept;

  // Appends to `out` what is ready; some is held back until more input comes.
  void convert(std::span<const float> input, std::vector<float>& out);
  // The input is complete: appends the rest.
  void finish(std::vector<float>& out);

 private:
  void take(std::vector<float>& out);

  double tempo_;
  int64_t consumed_ = 0;
  int64_t produced_ = 0;
  std::unique_ptr<soundtouch::SoundTouch> stretch_;
};

}  // namespace parley::dsp
