// Signals and files that the dsp tests share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/dsp/audio_reader.h"

namespace parley::test {

// amplitude * sin(2 pi hz t) of `samples` samples at `rate`.
std::vector<float> sine(double hz, int rate, size_t samples, double amplitude = 0.5);
// Reproducible white noise of the given standard deviation.
std::vector<float> noise(size_t samples, double deviation, uint32_t seed);

// Little-endian bytes of 16-bit integers (rounded, clipped) or of floats.
std::string s16le(std::span<const float> samples);
std::string f32le(std::span<const float> samples);

// A WAV header for `bytes` bytes of samples (as declared: the caller may lie) and format tag 1
// (PCM) or 3 (float).
std::string wav_header(int rate, int channels, int bits, uint32_t bytes, int tag = 1);

void write_file(const std::filesystem::path& path, const std::string& bytes);
std::string read_bytes(const std::filesystem::path& path);
std::vector<float> read_f32(const std::filesystem::path& path);

// Everything that the reader delivers, asked for in blocks of `block` samples.
std::vector<float> read_all(dsp::AudioReader& reader, size_t block = 4096);

// The bytes of a pipe, as a child process would send them: in pieces of `piece` bytes, from a
// thread.
class Pipe {
 public:
  explicit Pipe(std::string bytes, size_t piece = 1000);
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int descriptor() const { return read_end_; }

 private:
  int read_end_ = -1;
  struct Writer;
  std::unique_ptr<Writer> writer_;
};

}  // namespace parley::test
