#include "parley/tests/dsp/signals.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numbers>
#include <random>
#include <thread>

#include "parley/core/base/error.h"

namespace parley::test {

std::vector<float> sine(double hz, int rate, size_t samples, double amplitude) {
  std::vector<float> out(samples);
  for (size_t i = 0; i < samples; ++i) {
    out[i] = static_cast<float>(
        amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  }
  return out;
}

std::vector<float> noise(size_t samples, double deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(deviation));
  std::vector<float> out(samples);
  for (float& sample : out) sample = normal(random);
  return out;
}

namespace {

void append_le(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

std::string s16le(std::span<const float> samples) {
  std::string out;
  for (const float sample : samples) {
    const long value =
        std::clamp(std::lround(static_cast<double>(sample) * 32768), -32768L, 32767L);
    append_le(out, static_cast<uint64_t>(value), 2);
  }
  return out;
}

std::string f32le(std::span<const float> samples) {
  std::string out(samples.size() * sizeof(float), 0);
  std::memcpy(out.data(), samples.data(), out.size());
  return out;
}

std::string wav_header(int rate, int channels, int bits, uint32_t bytes, int tag) {
  std::string out = "RIFF";
  append_le(out, bytes + uint64_t{36}, 4);
  out += "WAVEfmt ";
  append_le(out, 16, 4);
  append_le(out, static_cast<uint64_t>(tag), 2);
  append_le(out, static_cast<uint64_t>(channels), 2);
  append_le(out, static_cast<uint64_t>(rate), 4);
  append_le(out, static_cast<uint64_t>(rate) * static_cast<uint64_t>(channels * bits / 8), 4);
  append_le(out, static_cast<uint64_t>(channels * bits / 8), 2);
  append_le(out, static_cast<uint64_t>(bits), 2);
  out += "data";
  append_le(out, bytes, 4);
  return out;
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> read_f32(const std::filesystem::path& path) {
  const std::string bytes = read_bytes(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

std::vector<float> read_all(dsp::AudioReader& reader, size_t block) {
  std::vector<float> out, samples(block);
  while (const size_t got = reader.read(samples)) {
    out.insert(out.end(), samples.begin(), samples.begin() + static_cast<ptrdiff_t>(got));
  }
  return out;
}

struct Pipe::Writer {
  std::thread thread;
};

Pipe::Pipe(std::string bytes, size_t piece) : writer_(std::make_unique<Writer>()) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  if (::pipe(ends) != 0) throw Error("pipe", "cannot be made");
  read_end_ = ends[0];
  writer_->thread = std::thread([bytes = std::move(bytes), piece, to = ends[1]] {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t written = ::write(to, bytes.data() + at, std::min(piece, bytes.size() - at));
      if (written < 0) break;  // the reader has gone
      at += static_cast<size_t>(written);
    }
    ::close(to);
  });
}

Pipe::~Pipe() {
  ::close(read_end_);
  writer_->thread.join();
}

}  // namespace parley::test
