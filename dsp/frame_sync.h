// What lies between the frames of a stream that has no container (MP3, ADTS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace parley::dsp {

// libavformat gives such bytes out in front of the next frame, which is then not decoded. Tags
// (recordings joined in one file have them in the middle) are nothing; anything else is damage, as
// long as so many bytes are on average.
class FrameSync {
 public:
  struct Found {
    size_t skip = 0;  // bytes of the packet before its frame; all of them: there is none
    double lost = 0;  // seconds that were there
    bool damaged = false;
  };
  // The next packet of the stream.
  Found find(std::span<const uint8_t> packet);
  // Bytes between packets that libavformat itself skipped: the first of them.
  Found skipped(std::span<const uint8_t> begin, int64_t bytes) const;
  // A packet was decoded.
  void decoded(size_t bytes, double seconds);
  // Of so many bytes.
  double seconds_of(int64_t bytes) const;

 private:
  size_t tag_left_ = 0;  // bytes of a tag that are still to come
  double bytes_ = 0;
  double seconds_ = 0;
};

}  // namespace parley::dsp
