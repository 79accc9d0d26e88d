#include "parley/dsp/frame_classifier.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace parley::dsp {

namespace {

constexpr float kSampleRate = 16000;
constexpr int kFramesBefore = 16;  // of silence that Silero hears first

// What to multiply frames by so that the loudest of the last seconds are loud enough.
class Level {
 public:
  explicit Level(int frame_samples)
      : decay_(std::pow(10.f, -0.1f * kDecay * static_cast<float>(frame_samples) / kSampleRate)) {}

  // power: mean square of the next frame.
  float gain(float power) {
    loudest_ = std::max({power, loudest_ * decay_, kQuietest});
    return std::sqrt(std::max(1.f, kLoudEnough / loudest_));
  }

 private:
  static constexpr float kLoudEnough = 3e-3f;  // mean square: 25 dB below full scale
  static constexpr float kQuietest = 1e-8f;    // 80 dB: no gain is above 55 dB
  static constexpr float kDecay = 2;           // dB a second

  float decay_;
  float loudest_ = kQuietest;
};

float mean_square(std::span<const float> frame) {
  double sum = 0;
  for (const float sample : frame) sum += static_cast<double>(sample) * sample;
  return static_cast<float>(sum / static_cast<double>(frame.size()));
}

}  // namespace

FrameClassifier webrtc_classifier(WebrtcVad::Sensitivity sensitivity) {
  auto vad = std::make_shared<WebrtcVad>(sensitivity);
  return {WebrtcVad::kFrame, [vad](std::span<const float> frame) {
            return vad->process(frame.first<WebrtcVad::kFrame>()) ? 1.f : 0.f;
          }};
}

FrameClassifier silero_classifier(std::shared_ptr<const SileroModel> model) {
  auto vad = std::make_shared<SileroVad>(std::move(model));
  constexpr std::array<float, SileroVad::kFrame> kSilence{};
  for (int i = 0; i < kFramesBefore; ++i) vad->process(kSilence);
  return {SileroVad::kFrame, [vad](std::span<const float> frame) {
            return vad->process(frame.first<SileroVad::kFrame>());
          }};
}

FrameClassifier everything_is_speech() {
  return {WebrtcVad::kFrame, [](std::span<const float>) { return 1.f; }};
}

FrameClassifier leveled(FrameClassifier classifier) {
  const int samples = classifier.frame_samples;
  return {samples, [inner = std::move(classifier.probability), level = Level(samples), last = 1.f,
                    louder = std::vector<float>(static_cast<size_t>(samples))](
                       std::span<const float> frame) mutable {
            const float gain = level.gain(mean_square(frame));
            const float step = (gain - last) / static_cast<float>(frame.size());
            for (size_t i = 0; i < frame.size(); ++i)
              louder[i] =
                  std::clamp(frame[i] * (last + step * static_cast<float>(i + 1)), -1.f, 1.f);
            const bool untouched = gain == 1 && last == 1;
            last = gain;
            return inner(untouched ? frame : louder);
          }};
}

}  // namespace parley::dsp
