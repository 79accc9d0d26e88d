#include "dsp/audio_source.h"

#include <cmath>
#include <cstring>

#include "base/error.h"

namespace parley::dsp {

namespace {

constexpr float kLoudest =
    2147483648.0f;  // 32-bit integers stored as floats; beyond, squares overflow in the spectrum

// Written so that NaN is not a sound either.
bool is_sound(float sample) { return std::fabs(sample) <= kLoudest; }

uint32_t u32le(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

void AudioSource::check(const std::string& where, int rate, int channels) const {
  if (rate < 1000 || rate > 768000) {
    throw Error(where, "has a sample rate of " + std::to_string(rate) + " Hz",
                "1000 to 768000 Hz are supported");
  }
  if (channels < 1 || channels > 64) {
    throw Error(where, "has " + std::to_string(channels) + " channels", "1 to 64 are supported");
  }
}

void AudioSource::mix(const float* interleaved, int channels, std::span<float> out) {
  int64_t bad = 0;
  const float scale = 1.0f / static_cast<float>(channels);
  for (float& mono : out) {
    float sum = 0;
    for (int channel = 0; channel < channels; ++channel) {
      const float sample = *interleaved++;
      bad += !is_sound(sample);
      sum += is_sound(sample) ? sample : 0.0f;
    }
    mono = sum * scale;
  }
  non_finite_ += bad;
}

std::optional<WavLength> wav_length(std::string_view head) {
  if (head.size() < 12 || head.substr(0, 4) != "RIFF" || head.substr(8, 4) != "WAVE")
    return std::nullopt;
  for (size_t at = 12; at + 8 <= head.size();) {
    const uint32_t bytes = u32le(head, at + 4);
    if (head.substr(at, 4) == "data") return WavLength{at + 4, bytes, static_cast<int64_t>(at) + 8};
    if (bytes > head.size()) return std::nullopt;
    at += 8 + bytes + bytes % 2;  // chunks are padded to even length
  }
  return std::nullopt;
}

}  // namespace parley::dsp
