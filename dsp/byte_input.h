// Bytes from a file or a stream, seekable as far as that is possible. Internal to dsp/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parley::dsp {

// A regular file is read at any place. A stream (pipe, FIFO, socket) is read forward once, but
// remembers its first kHead bytes: a decoder may look for the format there, go to the end and come
// back, as long as it then reads on.
class ByteInput {
 public:
  static constexpr size_t kHead = 1 << 16;

  // Reads from the descriptor's present position; closes it when `owned`.
  ByteInput(int descriptor, bool owned, std::string name);
  ~ByteInput();
  ByteInput(const ByteInput&) = delete;
  ByteInput& operator=(const ByteInput&) = delete;

  const std::string& name() const { return name_; }
  bool is_stream() const { return is_stream_; }
  // Bytes in all; kUnknownSize for a stream.
  int64_t size() const { return size_; }
  static constexpr int64_t kUnknownSize = int64_t{1} << 60;

  int64_t position() const { return position_; }
  void seek(int64_t position) { position_ = position; }
  // Less than `count` only at the end (or where a stream cannot be read again). Throws Error when
  // reading fails.
  size_t read(void* out, size_t count);

  // The first bytes, at most kHead (a stream: as many as there are of `count`), read without moving
  // the position.
  std::string_view head(size_t count);

  // Continues a stream on an unlinked temporary file that holds all of it, head included: seekable
  // from then on. Throws Error when the disk is full, or the head is already lost.
  void spool();

 private:
  size_t read_descriptor(void* out, size_t count, int64_t at);

  int descriptor_;
  bool owned_;
  std::string name_;
  bool is_stream_ = false;
  int64_t base_ = 0;  // of a regular file: where we began
  int64_t size_ = 0;
  int64_t position_ = 0;
  int64_t consumed_ = 0;    // bytes taken from a stream
  std::vector<char> head_;  // the first of them; of a file: as asked for
};

}  // namespace parley::dsp
