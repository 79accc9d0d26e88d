// A file as libavformat sees it: one track of sound and its packets. Internal to dsp/.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>

#include "parley/dsp/byte_input.h"
#include "parley/dsp/links.h"

struct AVCodec;
struct AVFormatContext;
struct AVIOContext;
struct AVPacket;
struct AVStream;

namespace parley::dsp {

struct TimedFormat;

class LibavContainer {
 public:
  // part: the bytes of `input` that are the file. track: counted from 1; nothing: the one that the
  // ffmpeg program chooses (the first default one with most channels). Throws Error: unknown
  // format, no audio, no decoder.
  LibavContainer(ByteInput& input, Link part, std::optional<int> track);
  ~LibavContainer();
  LibavContainer(const LibavContainer&) = delete;
  LibavContainer& operator=(const LibavContainer&) = delete;

  const AVStream& stream() const;
  const AVCodec& codec() const { return *codec_; }
  int tracks() const { return tracks_; }
  int track() const { return track_; }  // from 1

  // Do its times say when it was recorded (Matroska, MP4, MPEG-TS, …)? Else libav counts them from
  // what it read (MP3, ADTS, WAV, …).
  bool has_times() const { return timed_ != nullptr; }
  // They are numbers of samples, so none is missing.
  bool counts_samples() const;
  // They count from the start of the recording.
  bool is_absolute() const;
  // The times jump before the last packet: was something there, rather than nothing recorded?
  bool gap_is_damage() const;
  // The time that is the start of the file, in the stream's time base; nothing: that of the first
  // frame.
  std::optional<int64_t> zero() const;
  // Seconds, < 0 unknown. Certain: a header says so, of the sound and not of the picture alone.
  double duration() const { return duration_; }
  bool duration_is_certain() const { return duration_is_certain_; }
  // It counts samples, not packets.
  bool length_is_exact() const;
  // Seconds of it that decoders leave out.
  double padding() const;

  // The next packet of the track; false at the end. failed: something before it could not be read.
  bool read(AVPacket& packet, bool& failed);
  // Bytes that lie between the last packet and the one before and belong to neither; 0 where other
  // things may lie there.
  int64_t hole() const { return hole_; }
  // The first of them.
  std::array<uint8_t, 32> hole_begin();

 private:
  struct FreeFormat {
    void operator()(AVFormatContext* format) const;
  };
  struct FreeIo {
    void operator()(AVIOContext* io) const;
  };
  static int read_packet(void* user, uint8_t* out, int count);
  static int64_t seek_input(void* user, int64_t offset, int whence);
  void open_format();
  void choose_track(std::optional<int> track);
  void find_duration();
  bool pages_are_missing(const AVPacket& packet);
  void find_hole(const AVPacket& packet);
  [[noreturn]] void refuse();
  void find_block();
  void rethrow();

  ByteInput& input_;
  Link part_;
  std::exception_ptr failure_;  // thrown behind libav's C code
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, FreeFormat> format_;
  const AVCodec* codec_ = nullptr;
  int stream_ = -1;
  int tracks_ = 0;
  int track_ = 0;
  const TimedFormat* timed_ = nullptr;
  double duration_ = -1;
  bool duration_is_certain_ = false;
  int64_t hole_ = 0;
  int64_t hole_at_ = 0;
  int64_t ahead_ = 0;        // bytes that are read and not yet given out
  int64_t packet_end_ = -1;  // byte behind the last packet
  bool pages_were_missing_ = false;
  int64_t packet_at_ = -1;  // where it lies
  int failures_ = 0;
  int64_t failed_at_ = -1;  // byte at which reading failed last
};

}  // namespace parley::dsp
