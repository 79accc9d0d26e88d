// Many channels to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace parley::dsp {

// How many channels, and which speaker each belongs to: a bit for each as WAVE_FORMAT_EXTENSIBLE
// and libavutil number them, in the order of the channels. 0: nobody said.
struct ChannelLayout {
  int channels = 0;
  uint64_t speakers = 0;
  bool operator==(const ChannelLayout&) const = default;
};

// What each channel weighs in mono; the weights add up to 1. libswresample's default matrix (ITU-R
// BS.775: centre 1, left and right 0.71, surround 0.5, no low-frequency effects), which `ffmpeg -ac
// 1` uses; without speakers those that are usual for so many channels, and none is left
// out; else all alike.
std::vector<float> downmix_weights(const ChannelLayout& layout);

// Mixes interleaved channels to mono. Where channels cancel each other (opposite phase: a plug or a
// cable wired wrongly), the loudest one alone is taken. That is decided every 20 ms from what was
// heard until then, so nothing is held back, and faded in over the next 20 ms: the mix is given up
// when its energy falls below a tenth of what its parts would have if they were unrelated (one
// channel alone, or equal ones, never do), and taken again above a fifth. The sizes of the blocks
// change nothing.
class ChannelMix {
 public:
  // channel: take this one only, counted from 1.
  explicit ChannelMix(std::optional<int> channel) : channel_(channel) {}

  // out.size() frames of `layout`; samples that are no sound become 0 (in place) and are counted.
  void mix(std::span<float> interleaved, const ChannelLayout& layout, int rate,
           std::span<float> out);

  int64_t non_finite_samples() const { return non_finite_; }
  // Seconds for which one channel was taken because the mix was void.
  double cancelled_seconds() const { return cancelled_seconds_; }
  // Seconds for which there was no such channel, and the mix was taken instead.
  double missing_seconds() const { return missing_seconds_; }

 private:
  void begin(const ChannelLayout& layout, int rate);
  void measure(const float* interleaved, size_t frames);
  void weigh(const float* interleaved, std::span<float> out) const;
  void decide();

  std::optional<int> channel_;
  ChannelLayout layout_;
  int rate_ = 0;
  std::vector<float> downmix_;  // weights
  std::vector<float> from_;     // those at the begin of this hop
  std::vector<float> to_;       // and those at its end
  int64_t hop_ = 0;             // frames between decisions
  int64_t at_ = 0;              // frames of this hop that are mixed
  int64_t step_ = 1;            // every such frame is measured
  struct Energy {
    std::vector<double> channels;
    double mix = 0;
  };
  Energy hop_energy_;
  Energy recent_;
  int loudest_ = -1;  // taken alone; -1: the mix
  int64_t non_finite_ = 0;
  double cancelled_seconds_ = 0;
  double missing_seconds_ = 0;
};

}  // namespace parley::dsp
