// Recordings that the ffmpeg program makes of one sound, and where that sound is heard in them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::test {

struct Heard {
  std::vector<float> samples;
  std::vector<std::string> notices;
  bool truncated = false;
  double seconds() const { return static_cast<double>(samples.size()) / dsp::kSampleRate; }
  std::string all_notices() const {
    std::string all;
    for (const std::string& notice : notices) all += notice + "\n";
    return all;
  }
};

inline Heard heard(dsp::AudioReader reader) {
  Heard result;
  result.samples = read_all(reader);
  result.notices = reader.notices();
  result.truncated = reader.truncated();
  return result;
}

class Recordings : public testing::Test {
 protected:
  static constexpr int kSeconds = 12;  // of s.wav

  void SetUp() override {
    if (std::system("ffmpeg -version > /dev/null 2>&1") != 0)
      GTEST_SKIP() << "needs the ffmpeg program";
    // Noise as dull as speech, which every codec keeps, and which is like itself nowhere else.
    sound_ = noise(kSeconds * dsp::kSampleRate, 1, 7);
    float low = 0;
    for (float& sample : sound_) sample = 0.3f * (low += 0.25f * (sample - low));
    write_file(path("s.wav"),
               wav_header(dsp::kSampleRate, 1, 16, static_cast<uint32_t>(2 * sound_.size())) +
                   s16le(sound_));
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  // Runs ffmpeg in the folder; the recording is s.wav.
  void ffmpeg(const std::string& arguments) {
    const std::string command =
        "cd '" + folder_.path().string() + "' && ffmpeg -v quiet -nostdin -y " + arguments;
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void join(const std::vector<std::string>& names, const std::string& into) {
    std::string bytes;
    for (const std::string& name : names) bytes += read_bytes(path(name));
    write_file(path(into), bytes);
  }
  Heard hear(const std::string& name, const dsp::AudioOptions& options = {}) {
    return heard(dsp::AudioReader::open(path(name), options));
  }
  // The same from a pipe.
  Heard hear_pipe(const std::string& name) {
    Pipe pipe(read_bytes(path(name)), 100000);
    return heard(dsp::AudioReader::from_descriptor(pipe.descriptor(), "pipe"));
  }

  // Is second `from` to `to` of the sound heard `later` seconds later, to a millisecond? The
  // correlation.
  double match(const Heard& heard, double from, double to, double later = 0) const {
    const auto at = [](double seconds) { return std::lround(seconds * dsp::kSampleRate); };
    double best = 0;
    for (long lag = -16; lag <= 16; ++lag) {
      double both = 0, one = 1e-9, other = 1e-9;
      for (long i = at(from); i < at(to); ++i) {
        const long j = i + at(later) + lag;
        if (j < 0 || j >= static_cast<long>(heard.samples.size())) continue;
        const double a = sound_[static_cast<size_t>(i)], b = heard.samples[static_cast<size_t>(j)];
        both += a * b;
        one += a * a;
        other += b * b;
      }
      best = std::max(best, both / std::sqrt(one * other));
    }
    return best;
  }
  // The best of all places from `least` to `most` seconds later: some encoders delay their sound
  // without saying so.
  double match_near(const Heard& heard, double from, double to, double least, double most) const {
    double best = 0;
    for (double later = least; later <= most; later += 0.002)
      best = std::max(best, match(heard, from, to, later));
    return best;
  }
  static double loudest(const Heard& heard, double from, double to) {
    float most = 0;
    for (auto i = static_cast<size_t>(from * dsp::kSampleRate);
         i < std::min(heard.samples.size(), static_cast<size_t>(to * dsp::kSampleRate)); ++i) {
      most = std::max(most, std::fabs(heard.samples[i]));
    }
    return most;
  }

  TemporaryFolder folder_;
  std::vector<float> sound_;
};

}  // namespace parley::test
