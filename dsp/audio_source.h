// What AudioReader reads from: one decoder, at the rate of the file. Internal to dsp/.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "parley/dsp/audio_reader.h"
#include "parley/dsp/byte_input.h"
#include "parley/dsp/channel_mix.h"

namespace parley::dsp {

class AudioSource {
 public:
  // where: how errors call the input.
  AudioSource(std::string where, const AudioOptions& options);
  virtual ~AudioSource() = default;

  // Mono samples, at most out.size(), all of one rate: rate(), which may differ from the last time.
  // None only at the end.
  virtual size_t read(std::span<float> out) = 0;

  int rate() const { return rate_; }
  double duration() const { return duration_; }  // seconds in all, as the header says; < 0 unknown
  // A part is missing or damaged.
  bool truncated() const { return ended_early_ || !damage_.empty(); }
  int64_t non_finite_samples() const { return mix_.non_finite_samples(); }
  // What the user should know of the input, a sentence each; complete at the end.
  virtual std::vector<std::string> notices() const;

 protected:
  // Throws Error unless the rate and the channels are what we accept.
  void check(int rate, int channels) const;
  // The same for the first sound of the input, which must have the channel asked for.
  void check_first(int rate, int channels) const;
  // Throws Error unless the input, which has `tracks` of sound, has the one asked for.
  void check_track(int tracks) const;
  void note(const std::string& what);
  // Seconds [from, to) could not be decoded. In order of time.
  void note_damage(double from, double to);
  // The sound ends at `seconds`; the header promised more, or there is no mark of an end.
  void note_early_end(double seconds, const std::string& why);

  std::string where_;
  AudioOptions options_;
  int rate_ = 0;
  double duration_ = -1;
  ChannelMix mix_;

 private:
  struct Span {
    double from, to;
  };
  bool ended_early_ = false;
  std::vector<std::string> notes_;
  std::vector<Span> damage_;
  int64_t more_damage_ = 0;  // places that are not listed
};

// By libsndfile; nothing when it does not know the format (the input is then where it was, or lost:
// see spool()).
std::unique_ptr<AudioSource> open_sndfile(std::shared_ptr<ByteInput> input,
                                          const std::optional<RawFormat>& raw,
                                          const AudioOptions& options);
// By libavformat and libavcodec. Throws Error when they do not know it either.
std::unique_ptr<AudioSource> open_libav(std::shared_ptr<ByteInput> input,
                                        const AudioOptions& options);

}  // namespace parley::dsp
