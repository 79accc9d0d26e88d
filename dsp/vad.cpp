#include "parley/dsp/vad.h"

#include <webrtc/modules/audio_processing/include/audio_processing.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parley/core/base/error.h"

namespace parley::dsp {

struct WebrtcVad::Detector {
  std::unique_ptr<webrtc::AudioProcessing> processing{webrtc::AudioProcessing::Create()};
  const webrtc::StreamConfig format{kSampleRate, 1};
  std::array<float, kFrame> frame{};  // processing writes into what it reads

  static constexpr int kSampleRate = 16000;
};

WebrtcVad::WebrtcVad(Sensitivity sensitivity) : detector_(std::make_unique<Detector>()) {
  using Likelihood = webrtc::VoiceDetection::Likelihood;
  const Likelihood likelihood =
      sensitivity == Sensitivity::kHigh       ? webrtc::VoiceDetection::kHighLikelihood
      : sensitivity == Sensitivity::kModerate ? webrtc::VoiceDetection::kModerateLikelihood
                                              : webrtc::VoiceDetection::kLowLikelihood;
  webrtc::AudioProcessing* processing = detector_->processing.get();
  const bool ready = processing != nullptr &&
                     processing->voice_detection()->set_likelihood(likelihood) == 0 &&
                     processing->voice_detection()->Enable(true) == 0;
  if (!ready) throw Error("webrtc", "voice detection cannot be started");
}

WebrtcVad::~WebrtcVad() = default;
WebrtcVad::WebrtcVad(WebrtcVad&&) noexcept = default;
WebrtcVad& WebrtcVad::operator=(WebrtcVad&&) noexcept = default;

bool WebrtcVad::process(std::span<const float, kFrame> frame) {
  Detector& detector = *detector_;
  std::transform(frame.begin(), frame.end(), detector.frame.begin(),
                 [](float x) { return std::clamp(x, -1.0f, 1.0f); });
  float* channel = detector.frame.data();
  if (detector.processing->ProcessStream(&channel, detector.format, detector.format, &channel) !=
      0) {
    throw Error("webrtc", "voice detection failed");
  }
  return detector.processing->voice_detection()->stream_has_voice();
}

}  // namespace parley::dsp
