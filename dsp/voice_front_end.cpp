#include "parley/dsp/voice_front_end.h"

#include <webrtc/common.h>
#include <webrtc/modules/audio_processing/include/audio_processing.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_reader.h"

namespace parley::dsp {

namespace {

void require(int code, const char* what) {
  if (code != 0) throw Error("webrtc", std::string(what) + " failed");
}

// WebRTC takes numbers within ±1 only.
void copy_clamped(std::span<const float> from, float* to) {
  std::transform(from.begin(), from.end(), to,
                 [](float x) { return std::isfinite(x) ? std::clamp(x, -1.0f, 1.0f) : 0.0f; });
}

}  // namespace

struct VoiceFrontEnd::Processing {
  std::unique_ptr<webrtc::AudioProcessing> module;
  bool echo_cancellation = false;
  const webrtc::StreamConfig format{kSampleRate, 1};
  std::array<float, kFrame> frame{};
};

VoiceFrontEnd::VoiceFrontEnd(const VoiceFrontEndOptions& options)
    : processing_(std::make_unique<Processing>()) {
  webrtc::Config config;  // takes ownership of what it is given
  config.Set<webrtc::ExtendedFilter>(new webrtc::ExtendedFilter(true));
  config.Set<webrtc::DelayAgnostic>(new webrtc::DelayAgnostic(true));
  config.Set<webrtc::ExperimentalAgc>(new webrtc::ExperimentalAgc(false));
  processing_->module.reset(webrtc::AudioProcessing::Create(config));
  webrtc::AudioProcessing* module = processing_->module.get();
  if (module == nullptr) throw Error("webrtc", "audio processing cannot be started");
  processing_->echo_cancellation = options.echo_cancellation;
  require(module->high_pass_filter()->Enable(options.high_pass), "high-pass filter");
  require(module->noise_suppression()->set_level(webrtc::NoiseSuppression::kModerate),
          "noise suppression");
  require(module->noise_suppression()->Enable(options.noise_suppression), "noise suppression");
  webrtc::GainControl* gain = module->gain_control();
  require(gain->set_mode(webrtc::GainControl::kAdaptiveDigital), "gain control");
  require(gain->enable_limiter(true), "gain control");
  require(gain->Enable(options.gain_control), "gain control");
  webrtc::EchoCancellation* echo = module->echo_cancellation();
  require(echo->enable_drift_compensation(false), "echo cancellation");
  require(echo->set_suppression_level(webrtc::EchoCancellation::kHighSuppression),
          "echo cancellation");
  require(echo->Enable(options.echo_cancellation), "echo cancellation");
}

VoiceFrontEnd::~VoiceFrontEnd() = default;
VoiceFrontEnd::VoiceFrontEnd(VoiceFrontEnd&&) noexcept = default;
VoiceFrontEnd& VoiceFrontEnd::operator=(VoiceFrontEnd&&) noexcept = default;

void VoiceFrontEnd::process(std::span<float, kFrame> frame) {
  Processing& p = *processing_;
  copy_clamped(frame, p.frame.data());
  float* channel = p.frame.data();
  // Must be told whatever it is: the canceller finds the delay itself.
  if (p.echo_cancellation) require(p.module->set_stream_delay_ms(0), "echo cancellation");
  require(p.module->ProcessStream(&channel, p.format, p.format, &channel), "audio processing");
  if (!std::all_of(p.frame.begin(), p.frame.end(), [](float x) { return std::isfinite(x); })) {
    // The canceller meets an echo without any noise, as no room makes it, and says NaN from then
    // on: it begins anew with the next frame.
    require(p.module->Initialize(), "audio processing");
    copy_clamped(frame, p.frame.data());
  }
  std::copy(p.frame.begin(), p.frame.end(), frame.begin());
}

void VoiceFrontEnd::played(std::span<const float, kFrame> frame) {
  Processing& p = *processing_;
  copy_clamped(frame, p.frame.data());
  float* channel = p.frame.data();
  require(p.module->ProcessReverseStream(&channel, p.format, p.format, &channel),
          "audio processing");
}

}  // namespace parley::dsp
