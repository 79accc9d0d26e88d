// What AudioReader reads from: one decoder, at the rate of the file. Internal to dsp/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dsp/audio_reader.h"
#include "dsp/byte_input.h"

namespace parley::dsp {

class AudioSource {
 public:
  virtual ~AudioSource() = default;

  // Mono samples at rate(): fills `out`, less only at the end.
  virtual size_t read(std::span<float> out) = 0;

  int rate() const { return rate_; }
  int64_t frames() const { return frames_; }  // in all, as the header says; < 0 unknown
  bool truncated() const { return truncated_; }
  int64_t non_finite_samples() const { return non_finite_; }

 protected:
  // Throws Error unless the rate and the channels are what we accept.
  void check(const std::string& where, int rate, int channels) const;
  // Averages `channels` interleaved channels of out.size() frames; samples that are no sound become
  // 0 and are counted.
  void mix(const float* interleaved, int channels, std::span<float> out);

  int rate_ = 0;
  int64_t frames_ = -1;
  bool truncated_ = false;

 private:
  int64_t non_finite_ = 0;
};

// By libsndfile; nothing when it does not know the format (the input is then where it was, or lost:
// see spool()).
std::unique_ptr<AudioSource> open_sndfile(std::shared_ptr<ByteInput> input,
                                          const std::optional<RawFormat>& raw);
// By libavformat and libavcodec. Throws Error when they do not know it either.
std::unique_ptr<AudioSource> open_libav(std::shared_ptr<ByteInput> input);

// Where a WAV header says how long its samples are.
struct WavLength {
  size_t size_field = 0;  // offset of the data chunk's size
  uint32_t bytes = 0;     // as declared
  int64_t data = 0;       // offset of the samples
  // Written by a program that could not seek back (ffmpeg: 2^32 - 1, sox: near 2^31): as long as
  // the input.
  bool unknown() const { return bytes == 0 || bytes >= 0x7FFF0000u; }
};
// Nothing when `head` is not a little-endian RIFF WAV or does not reach the samples.
std::optional<WavLength> wav_length(std::string_view head);

}  // namespace parley::dsp
