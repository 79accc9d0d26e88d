// The samples of a WAV file, wherever they are and whatever its sizes say. Internal to dsp/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parley/dsp/byte_input.h"

namespace parley::dsp {

// What a decoder should see of a WAV: its header, then the samples of all its data chunks one after
// another, and nothing else. The header is made to say that they go on to the end. Reads a stream
// forward only, no more than it is asked for.
//
// Sizes lie: of programs that could not seek back (0; ffmpeg: 2^32 - 1; sox: near 2^31), and of
// recorders that went on. So where a data chunk ends and no other chunk begins, its samples go on
// to the end of the input. Recordings of one format that are joined on go on, too.
class WavChunks {
 public:
  // A little-endian RIFF WAV from byte `begin` on; nothing when it is none, or does not reach the
  // samples (of a stream: within its head).
  static std::optional<WavChunks> open(ByteInput& input, int64_t begin = 0);

  // Bytes in all; ByteInput::kUnknownSize while they are not known.
  int64_t size() const;
  // Less than `count` only at the end.
  size_t read(int64_t at, char* out, size_t count);

  // Speakers of the channels, as the header numbers them; 0: it does not.
  uint64_t speakers() const { return speakers_; }
  double seconds_of(int64_t bytes) const;
  // Bytes of samples that were found.
  int64_t found() const { return end_ - static_cast<int64_t>(header_.size()); }
  // Those that the header promises; < 0: none can be.
  int64_t promised() const { return is_promised_ ? promised_ : -1; }
  // There are more samples than that, or less: of a stream, as far as it was read.
  bool is_longer() const { return is_longer_; }
  bool is_short() const { return is_short_; }
  // Where a recording of another format is joined on.
  std::optional<int64_t> next() const { return next_; }

 private:
  struct Segment {
    int64_t seen = 0;  // where the decoder sees it
    int64_t begin = 0;
    int64_t length = 0;
  };

  explicit WavChunks(ByteInput& input) : input_(&input) {}
  bool read_header(int64_t begin);
  bool add_data(int64_t at, uint32_t size);
  bool find_more();
  void go_on(int64_t at);
  bool is_chunk(const std::string& head, int64_t at) const;
  std::string peek(int64_t at, size_t count);
  size_t read_input(int64_t at, char* out, size_t count);
  bool pass(int64_t& at, int64_t count);

  ByteInput* input_;
  std::string header_;  // up to the samples
  std::string format_;  // the fmt chunk's first bytes
  std::vector<Segment> segments_;
  int64_t end_ = 0;        // of what is in segments_
  bool complete_ = false;  // there are no more
  std::string ahead_;      // bytes of the input that were looked at
  int64_t ahead_at_ = 0;
  uint64_t speakers_ = 0;
  double byte_rate_ = 0;
  int64_t promised_ = 0;
  bool is_promised_ = true;
  bool is_longer_ = false;
  bool is_short_ = false;
  std::optional<int64_t> next_;
};

}  // namespace parley::dsp
