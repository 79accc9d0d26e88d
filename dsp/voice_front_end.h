// What makes speech from a microphone easier to hear: high-pass filter, noise suppression, gain
// control, and cancellation of what the same machine plays.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace parley::dsp {

struct VoiceFrontEndOptions {
  bool high_pass = true;           // takes away hum and rumble below about 80 Hz
  bool noise_suppression = true;   // stationary noise, moderately: harder costs words
  bool gain_control = true;        // quiet speakers up to a common level, with a limiter
  bool echo_cancellation = false;  // needs played()
};

// The audio processing module of WebRTC, on 10 ms frames at 16 kHz. Belongs to one thread at a
// time.
class VoiceFrontEnd {
 public:
  static constexpr int kFrame = 160;  // samples

  explicit VoiceFrontEnd(const VoiceFrontEndOptions& options = {});
  ~VoiceFrontEnd();
  VoiceFrontEnd(VoiceFrontEnd&&) noexcept;
  VoiceFrontEnd& operator=(VoiceFrontEnd&&) noexcept;

  // Works on the next frame of the microphone in place.
  void process(std::span<float, kFrame> frame);
  // The next frame that loudspeakers play, before the frame of the microphone that hears it; the
  // delay between them is found. For echo cancellation.
  void played(std::span<const float, kFrame> frame);

 private:
  struct Processing;
  std::unique_ptr<Processing> processing_;
};

}  // namespace parley::dsp
