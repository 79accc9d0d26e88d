// Hostile, damaged and very long files; offsets and durations.
#include "parley/dsp/audio_reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <random>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

class AudioFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes, const std::string& name = "a.wav") {
    test::write_file(folder_.path() / name, bytes);
    return folder_.path() / name;
  }
  std::string error(const std::filesystem::path& path) {
    return test::error_of([&] {
      AudioReader reader = AudioReader::open(path);
      test::read_all(reader);
    });
  }
  test::TemporaryFolder folder_;
};

#define EXPECT_SAYS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

TEST_F(AudioFile, MissingFilesAndFoldersAreNamed) {
  EXPECT_SAYS(error(folder_.path() / "none.wav"), "none.wav: there is no such file");
  EXPECT_SAYS(error(folder_.path()), "is a folder");
  EXPECT_SAYS(error("/dev/zero"), "is a device");
}

TEST_F(AudioFile, EmptyFilesHaveNoAudio) {
  EXPECT_SAYS(error(write("")), "has no audio");
  EXPECT_SAYS(error(write(test::wav_header(16000, 1, 16, 0))), "has no audio");
}

TEST_F(AudioFile, WhatIsNotAudioIsSaidToBeNone) {
  EXPECT_SAYS(error(write("Dear diary,\ntoday I renamed this file to .wav.\n")),
              "not audio or video");
  EXPECT_SAYS(error(write(std::string(100000, '\0'))), "not audio or video");
  std::mt19937 random(1);
  std::string garbage(50000, 0);
  for (char& byte : garbage) byte = static_cast<char>(random());
  EXPECT_NE(error(write(garbage)), "");
  EXPECT_NE(error(write("RIFF....WAVE")), "");
  EXPECT_NE(error(write(test::wav_header(16000, 1, 16, 100).substr(0, 30))), "");
}

TEST_F(AudioFile, ImpossibleRatesAndChannelsAreRefused) {
  const std::string samples(10000, 0);
  EXPECT_NE(error(write(test::wav_header(16000, 0, 16, 10000) + samples)), "");
  EXPECT_SAYS(error(write(test::wav_header(16000, 65, 16, 10000) + samples)), "65 channels");
  EXPECT_NE(error(write(test::wav_header(16000, 60000, 16, 10000) + samples)), "");
  EXPECT_NE(error(write(test::wav_header(0, 1, 16, 10000) + samples)), "");
  EXPECT_SAYS(error(write(test::wav_header(999, 1, 16, 10000) + samples)), "999 Hz");
  EXPECT_SAYS(error(write(test::wav_header(2000000000, 1, 16, 10000) + samples)), "2000000000 Hz");
}

TEST_F(AudioFile, TruncatedWavsAreReadAsFarAsTheyGo) {
  const auto samples = test::noise(10000, 0.1, 1);
  AudioReader reader =
      AudioReader::open(write(test::wav_header(16000, 1, 16, 40000) + test::s16le(samples)));
  EXPECT_NEAR(reader.duration_hint(), 0.625, 1e-9);
  EXPECT_EQ(test::read_all(reader).size(), 10000u);
  EXPECT_TRUE(reader.truncated());
}

TEST_F(AudioFile, TruncatedFlacsAreReadAsFarAsTheyGo) {
  const auto flac = test::shared_path("corpus/ljspeech_33/LJ001-0001.flac");
  if (!flac) GTEST_SKIP() << test::kNoShared;
  AudioReader whole = AudioReader::open(*flac);
  const auto expected = test::read_all(whole);
  EXPECT_FALSE(whole.truncated());
  const std::string bytes = test::read_bytes(*flac);
  AudioReader reader = AudioReader::open(write(bytes.substr(0, bytes.size() / 2), "a.flac"));
  const auto out = test::read_all(reader);
  EXPECT_GT(out.size(), expected.size() / 4);
  EXPECT_LT(out.size(), expected.size());
  EXPECT_TRUE(reader.truncated());
}

// What ffmpeg and sox write into a pipe, or a recorder that was killed leaves behind.
TEST_F(AudioFile, WavsWithoutALengthAreReadToTheEnd) {
  const auto samples = test::noise(30000, 0.1, 1);
  for (const uint32_t declared : {0u, 0x7FFFFFDBu, 0x80000000u, 0xFFFFFFFFu}) {
    AudioReader reader =
        AudioReader::open(write(test::wav_header(16000, 1, 16, declared) + test::s16le(samples)));
    EXPECT_EQ(test::read_all(reader).size(), 30000u) << declared;
    EXPECT_FALSE(reader.truncated()) << declared;
  }
}

TEST_F(AudioFile, ChunksAroundTheSamplesAreNotSamples) {
  const auto samples = test::noise(5000, 0.1, 1);
  std::string wav = test::wav_header(16000, 1, 16, 10000) + test::s16le(samples);
  const std::string list = std::string("LIST\x0b\0\0\0INFOcomment", 19) + std::string(1, 0);
  wav.insert(36, list);
  wav += list;
  AudioReader reader = AudioReader::open(write(wav));
  EXPECT_EQ(test::read_all(reader).size(), 5000u);
  EXPECT_FALSE(reader.truncated());
}

TEST_F(AudioFile, SamplesThatAreNoSoundBecomeZeroAndAreCounted) {
  auto samples = test::noise(2000, 0.1, 1);
  samples[10] = std::numeric_limits<float>::quiet_NaN();
  samples[11] = std::numeric_limits<float>::infinity();
  samples[12] = -std::numeric_limits<float>::infinity();
  samples[13] = 1e30f;
  AudioReader mono =
      AudioReader::open(write(test::wav_header(16000, 1, 32, 8000, 3) + test::f32le(samples)));
  const auto out = test::read_all(mono);
  ASSERT_EQ(out.size(), 2000u);
  for (size_t i = 0; i < out.size(); ++i)
    ASSERT_EQ(out[i], i >= 10 && i < 14 ? 0 : samples[i]) << i;
  EXPECT_EQ(mono.non_finite_samples(), 4);

  AudioReader stereo =
      AudioReader::open(write(test::wav_header(44100, 2, 32, 8000, 3) + test::f32le(samples)));
  for (const float sample : test::read_all(stereo))
    ASSERT_TRUE(std::isfinite(sample) && std::fabs(sample) < 1);
  EXPECT_EQ(stereo.non_finite_samples(), 4);
}

TEST_F(AudioFile, LimitsAreExactToTheSample) {
  const auto samples = test::noise(44100, 0.1, 1);
  for (const int rate : {16000, 44100}) {
    const auto path = write(test::wav_header(rate, 1, 32, 176400, 3) + test::f32le(samples));
    AudioReader whole = AudioReader::open(path);
    const auto all = test::read_all(whole);
    const struct {
      double offset, duration;
      size_t start, count;
    } cases[] = {{0.25, 0.5, 4000, 8000},
                 {0, 0, 0, 0},
                 {0.1, -1, 1600, all.size() - 1600},
                 {0.00003125, 1e300, 1, all.size() - 1},
                 {100, 5, all.size(), 0},
                 {1e300, -1, all.size(), 0}};
    for (const auto& c : cases) {
      AudioReader reader = AudioReader::open(path);
      reader.limit(c.offset, c.duration);
      EXPECT_NEAR(reader.duration_hint(), static_cast<double>(c.count) / kSampleRate, 2e-4);
      const auto out = test::read_all(reader, 1000);
      EXPECT_EQ(out, std::vector<float>(all.begin() + static_cast<ptrdiff_t>(c.start),
                                        all.begin() + static_cast<ptrdiff_t>(c.start + c.count)));
      EXPECT_EQ(reader.samples_read(), static_cast<int64_t>(c.count));
    }
    AudioReader reader = AudioReader::open(path);
    EXPECT_NE(test::error_of([&] { reader.limit(-1); }), "");
    EXPECT_NE(test::error_of([&] { reader.limit(std::nan("")); }), "");
    EXPECT_NE(test::error_of([&] { reader.limit(0, std::nan("")); }), "");
  }
}

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return resident * 4096;
}

TEST_F(AudioFile, ThreeHoursAreReadInConstantMemory) {
  const auto path = folder_.path() / "long.wav";
  constexpr uint32_t kBytes =
      3u * 3600 * 8000 * 4;  // 8 kHz stereo, 16 bits; a sparse file: nothing is written
  test::write_file(path, test::wav_header(8000, 2, 16, kBytes));
  ASSERT_EQ(::truncate(path.c_str(), 44 + static_cast<off_t>(kBytes)), 0);
  AudioReader reader = AudioReader::open(path);
  EXPECT_NEAR(reader.duration_hint(), 3 * 3600, 1e-6);
  std::vector<float> block(kSampleRate);
  reader.read(block);
  const int64_t before = resident_bytes();
  int64_t most = before;
  for (size_t blocks = 0; reader.read(block) != 0; ++blocks) {
    if (blocks % 500 == 0) most = std::max(most, resident_bytes());
  }
  EXPECT_EQ(reader.samples_read(), int64_t{3} * 3600 * kSampleRate);
  EXPECT_LT(most - before, 16 << 20);
  EXPECT_FALSE(reader.truncated());
}

// Bytes flipped anywhere: an Error or samples, never a crash, endless loop or runaway allocation.
TEST_F(AudioFile, DamagedFilesAreSamplesOrErrors) {
  std::mt19937 random(5);
  const std::string good =
      test::wav_header(16000, 2, 16, 8000) + test::s16le(test::noise(4000, 0.1, 1));
  for (int round = 0; round < 300; ++round) {
    std::string bad = good;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
      bad[random() % 60] = static_cast<char>(random());
    }
    const auto path = write(bad);
    test::error_of([&] {
      AudioReader reader = AudioReader::open(path);
      reader.limit(0, 60);
      test::read_all(reader);
    });
  }
}

TEST_F(AudioFile, ReadersMove) {
  const auto path = write(test::wav_header(44100, 1, 16, 8820) + std::string(8820, 0));
  AudioReader first = AudioReader::open(path);
  std::vector<float> block(100);
  EXPECT_EQ(first.read(block), 100u);
  AudioReader second = std::move(first);
  EXPECT_EQ(test::read_all(second).size(), 1500u);
}

}  // namespace
}  // namespace parley::dsp
