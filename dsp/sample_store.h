// The recent samples of a stream, addressed by their position in the stream.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace parley::dsp {

// Holds samples [begin(), end()). Memory follows what is held (at most twice that), not the length
// of the stream.
class SampleStore {
 public:
  void push(std::span<const float> samples);
  // Forgets the samples before `sample`; later than end() forgets all that are held.
  void discard_before(int64_t sample);

  int64_t begin() const { return first_ + static_cast<int64_t>(discarded_); }
  int64_t end() const { return first_ + static_cast<int64_t>(samples_.size()); }
  // Samples [start, end) of the stream, valid until the next push or discard. Throws Error when
  // they are not held.
  std::span<const float> view(int64_t start, int64_t end) const;

 private:
  std::vector<float> samples_;  // from stream position first_ on
  int64_t first_ = 0;
  size_t discarded_ = 0;  // leading samples_ that are forgotten but not yet moved away
};

}  // namespace parley::dsp
