#include "parley/dsp/channel_mix.h"

extern "C" {
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
}

#include <algorithm>
#include <cmath>

namespace parley::dsp {

namespace {

constexpr int kDecisions = 50;      // a second
constexpr int kMeasured = 8000;     // frames a second, at least, of which energy is measured
constexpr double kMemory = 0.4;     // what the last hop weighs in the recent energy
constexpr double kVoid = 0.1;       // of the energy of unrelated channels: the mix is given up
constexpr double kSound = 0.2;      // it is taken again
constexpr double kSilence = 1e-10;  // mean square: below, nothing is decided
constexpr double kMuchLouder = 2;   // energy that makes another channel the loudest

constexpr float kLoudest =
    2147483648.0f;  // 32-bit integers stored as floats; beyond, squares overflow in the spectrum

// Written so that NaN is not a sound either.
bool is_sound(float sample) { return std::fabs(sample) <= kLoudest; }

// Replaces what is no sound; how many.
int64_t clean(std::span<float> samples) {
  int sound = 1;
  for (const float sample : samples) sound &= static_cast<int>(is_sound(sample));
  if (sound != 0) return 0;
  int64_t bad = 0;
  for (float& sample : samples) {
    if (is_sound(sample)) continue;
    sample = 0;
    ++bad;
  }
  return bad;
}

std::vector<float> only(int channel, int channels) {
  std::vector<float> weights(static_cast<size_t>(channels));
  weights[static_cast<size_t>(channel)] = 1;
  return weights;
}

}  // namespace

std::vector<float> downmix_weights(const ChannelLayout& layout) {
  const auto count = static_cast<size_t>(layout.channels);
  std::vector<float> weights(count, 1.0f / static_cast<float>(layout.channels));
  AVChannelLayout in{};
  if (layout.speakers == 0 || av_channel_layout_from_mask(&in, layout.speakers) < 0 ||
      in.nb_channels != layout.channels) {
    av_channel_layout_default(&in, layout.channels);
  }
  if (in.order != AV_CHANNEL_ORDER_NATIVE || layout.channels < 2) return weights;
  const AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
  const double low = layout.speakers == 0 ? M_SQRT1_2 : 0;  // what is guessed leaves nothing out
  constexpr int kSpeakers = 64;  // it writes a row and a column for all that there may be
  std::vector<double> matrix(size_t{kSpeakers} * kSpeakers);
  if (swr_build_matrix2(&in, &mono, M_SQRT1_2, M_SQRT1_2, low, 1, 1, matrix.data(), kSpeakers,
                        AV_MATRIX_ENCODING_NONE, nullptr) < 0) {
    return weights;
  }
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    if (layout.speakers == 0 && matrix[i] == 0) return weights;
    sum += matrix[i];
  }
  if (!(sum > 0)) return weights;
  for (size_t i = 0; i < count; ++i) weights[i] = static_cast<float>(matrix[i] / sum);
  return weights;
}

void ChannelMix::begin(const ChannelLayout& layout, int rate) {
  layout_ = layout;
  rate_ = rate;
  downmix_ = downmix_weights(layout);
  if (channel_ && *channel_ <= layout.channels) downmix_ = only(*channel_ - 1, layout.channels);
  from_ = to_ = downmix_;
  hop_ = std::max(1, rate / kDecisions);
  step_ = std::max(1, rate / kMeasured);
  at_ = 0;
  loudest_ = -1;
  hop_energy_ = recent_ = {.channels = std::vector<double>(downmix_.size())};
}

void ChannelMix::measure(const float* interleaved, size_t frames) {
  const auto channels = static_cast<size_t>(layout_.channels);
  const auto step = static_cast<size_t>(step_);
  const size_t ahead = static_cast<size_t>(at_) % step;
  for (size_t i = ahead == 0 ? 0 : step - ahead; i < frames; i += step) {
    const float* frame = interleaved + i * channels;
    double mono = 0;
    for (size_t c = 0; c < channels; ++c) {
      const double sample = frame[c];
      hop_energy_.channels[c] += sample * sample;
      mono += downmix_[c] * sample;
    }
    hop_energy_.mix += mono * mono;
  }
}

void ChannelMix::weigh(const float* interleaved, std::span<float> out) const {
  const auto channels = static_cast<size_t>(layout_.channels);
  if (from_ == to_ && channels == 2) {
    const float left = to_[0], right = to_[1];
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = left * interleaved[2 * i] + right * interleaved[2 * i + 1];
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const float done =
        static_cast<float>(at_ + static_cast<int64_t>(i) + 1) / static_cast<float>(hop_);
    float sum = 0;
    for (size_t c = 0; c < channels; ++c)
      sum += (from_[c] + (to_[c] - from_[c]) * done) * interleaved[i * channels + c];
    out[i] = sum;
  }
}

// A hop is complete: chooses the weights of the next.
void ChannelMix::decide() {
  double parts = 0;
  size_t loudest = 0;
  const auto measured = static_cast<double>((hop_ + step_ - 1) / step_);
  const auto remember = [&](double& recent, double& hop) {
    recent += kMemory * (hop / measured - recent);
    hop = 0;
  };
  remember(recent_.mix, hop_energy_.mix);
  for (size_t c = 0; c < downmix_.size(); ++c) {
    remember(recent_.channels[c], hop_energy_.channels[c]);
    const double weight = downmix_[c];
    parts += weight * weight * recent_.channels[c];
    const bool counts = weight > 0;
    if (counts && (downmix_[loudest] == 0 || recent_.channels[c] > recent_.channels[loudest]))
      loudest = c;
  }
  from_ = to_;
  if (loudest_ >= 0) cancelled_seconds_ += static_cast<double>(hop_) / rate_;
  if (parts < kSilence) return;
  const double sound = recent_.mix / parts;
  if (sound > kSound) {
    loudest_ = -1;
  } else if (sound < kVoid) {
    const bool stays =
        loudest_ >= 0 &&
        recent_.channels[loudest] < kMuchLouder * recent_.channels[static_cast<size_t>(loudest_)];
    if (!stays) loudest_ = static_cast<int>(loudest);
  }
  to_ = loudest_ < 0 ? downmix_ : only(loudest_, layout_.channels);
}

void ChannelMix::mix(std::span<float> interleaved, const ChannelLayout& layout, int rate,
                     std::span<float> out) {
  if (layout != layout_ || rate != rate_) begin(layout, rate);
  non_finite_ += clean(interleaved);
  if (channel_ && *channel_ > layout.channels)
    missing_seconds_ += static_cast<double>(out.size()) / rate;
  if (layout.channels == 1) {
    std::copy_n(interleaved.data(), out.size(), out.data());
    return;
  }
  const float* from = interleaved.data();
  const bool chosen = channel_ && *channel_ <= layout.channels;
  while (!out.empty()) {
    const size_t count = std::min(out.size(), static_cast<size_t>(hop_ - at_));
    if (!chosen) measure(from, count);
    weigh(from, out.first(count));
    at_ += static_cast<int64_t>(count);
    from += count * static_cast<size_t>(layout.channels);
    out = out.subspan(count);
    if (at_ < hop_) continue;
    at_ = 0;
    if (!chosen) decide();
  }
}

}  // namespace parley::dsp
