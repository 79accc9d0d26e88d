#include "parley/dsp/time_stretch.h"

#include <SoundTouch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "parley/core/base/error.h"

namespace parley::dsp {

TimeStretch::TimeStretch(int sample_rate, double tempo)
    : tempo_(tempo), stretch_(std::make_unique<soundtouch::SoundTouch>()) {
  if (!(tempo >= kSlowest && tempo <= kFastest))
    throw Error("", "speed " + std::to_string(tempo) + " is not from 0.25 to 4");
  stretch_->setSampleRate(static_cast<unsigned>(sample_rate));
  stretch_->setChannels(1);
  stretch_->setTempo(tempo);
  // SoundTouch's README, "Tuning the algorithm parameters": what it advises for speech.
  stretch_->setSetting(SETTING_SEQUENCE_MS, 40);
  stretch_->setSetting(SETTING_SEEKWINDOW_MS, 15);
  stretch_->setSetting(SETTING_OVERLAP_MS, 8);
}

TimeStretch::~TimeStretch() = default;
TimeStretch::TimeStretch(TimeStretch&&) noexcept = default;

void TimeStretch::convert(std::span<const float> input, std::vector<float>& out) {
  consumed_ += static_cast<int64_t>(input.size());
  constexpr size_t kBlock = 256;  // always the same, so that the caller's sizes do not matter
  for (size_t at = 0; at < input.size(); at += kBlock) {
    const auto count = std::min(kBlock, input.size() - at);
    stretch_->putSamples(input.data() + at, static_cast<unsigned>(count));
  }
  take(out);
}

void TimeStretch::finish(std::vector<float>& out) {
  const auto length = static_cast<int64_t>(std::llround(static_cast<double>(consumed_) / tempo_));
  stretch_->flush();
  take(out);
  // flush() pads with silence, or leaves a few samples out.
  const int64_t excess = produced_ - length;
  if (excess > 0)
    out.resize(out.size() - std::min<size_t>(static_cast<size_t>(excess), out.size()));
  if (excess < 0) out.resize(out.size() + static_cast<size_t>(-excess), 0.f);
}

void TimeStretch::take(std::vector<float>& out) {
  std::array<float, 1024> block;
  while (const unsigned count = stretch_->receiveSamples(block.data(), block.size())) {
    out.insert(out.end(), block.begin(), block.begin() + count);
    produced_ += count;
  }
}

}  // namespace parley::dsp
