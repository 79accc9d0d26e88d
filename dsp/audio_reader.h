// Audio in: any file that libavformat or libsndfile reads, or a stream, as 16 kHz mono f32 in
// blocks, in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parley::dsp {

// Everything behind the reader works at this rate, in mono, on samples of about ±1.
inline constexpr int kSampleRate = 16000;

// Headerless samples, interleaved.
struct RawFormat {
  enum class Encoding { kS16le, kF32le };
  Encoding encoding = Encoding::kS16le;
  int rate = kSampleRate;
  int channels = 1;
};

// Which part of an input is heard.
struct AudioOptions {
  std::optional<int> channel = {};  // of the track, from 1; nothing: all of them, mixed
  std::optional<int> track = {};    // of sound, from 1; nothing: the one that ffmpeg chooses
};

// One pass over one input. Channels are mixed as dsp/channel_mix.h says; other rates are resampled
// by libswresample with sample 0 on sample 0 (no delay, no drift, n frames become n * 16000 / rate
// samples to within one). 16 kHz mono passes bit-exactly. Not thread-safe.
//
// Times are times of the file (dsp/timeline.h): sound that begins later than the picture, or whose
// times jump, is preceded by silence. Rate and channels may change anywhere. What is damaged is
// silence, and what follows is heard; recordings that are joined in one file (Ogg, MP3, ADTS, WAV)
// are heard one after another.
//
// Hostile input costs bounded memory and ends in an Error: 1 to 64 channels at 1 to 768 kHz are
// accepted, and a container cannot make the reader open other files. The first reader sets libav's
// log level to quiet, which is global to the process.
class AudioReader {
 public:
  // Throws Error: missing file, folder, empty file, unknown format, no audio stream; no such track
  // or channel.
  static AudioReader open(const std::filesystem::path& path, const AudioOptions& options = {});
  // Standard input. Raw samples and WAV are decoded as they arrive; every other format is first
  // spooled to an unlinked temporary file ($TMPDIR, /tmp), as it may need seeking.
  static AudioReader standard_input(const std::optional<RawFormat>& raw = std::nullopt,
                                    const AudioOptions& options = {});
  // The same for any open descriptor, which is read but not closed. `name` is how errors call it.
  static AudioReader from_descriptor(int descriptor, const std::string& name,
                                     const std::optional<RawFormat>& raw = std::nullopt,
                                     const AudioOptions& options = {});

  ~AudioReader();
  AudioReader(AudioReader&&) noexcept;
  AudioReader& operator=(AudioReader&&) noexcept;

  // Restricts what read() delivers to `duration_seconds` (negative: all) from `offset_seconds` on,
  // exact to the sample: the same samples that a full read has there. Call before the first read.
  // Throws Error when not finite or negative offset.
  void limit(double offset_seconds, double duration_seconds = -1);

  // Fills `out` from the front; returns how many samples, less than asked only at the end, then 0.
  // A live caller asks for as little as it wants to wait for. Throws Error when the input cannot be
  // read any further for a reason other than its end.
  size_t read(std::span<float> out);

  // Seconds that read() will deliver in all as far as the header tells; < 0 when unknown (streams).
  double duration_hint() const;
  // Samples delivered so far.
  int64_t samples_read() const;

  // Input samples that were NaN, infinite or beyond ±2^31, and were read as 0. Other samples beyond
  // ±1 are kept.
  int64_t non_finite_samples() const;
  // The input ended before what its header promised, or a damaged part was skipped. Final once
  // read() returned 0.
  bool truncated() const;
  // What the user should know about what was heard and what was not, a sentence each without the
  // name of the input: damage and where, times that were not followed, tracks and channels that
  // were left out. Final once read() returned 0.
  std::vector<std::string> notices() const;

 private:
  struct State;
  explicit AudioReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace parley::dsp
