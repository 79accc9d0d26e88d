// What is damaged is silence and reported; the rest is heard at its time.
#include "parley/tests/dsp/recordings.h"

namespace parley::dsp {
namespace {

using test::Heard;

class DamagedAudio : public test::Recordings {
 protected:
  // Overwrites 2 kB in the middle.
  void damage(const std::string& name) {
    std::string bytes = test::read_bytes(path(name));
    ASSERT_GT(bytes.size(), 10000u) << name;
    bytes.replace(bytes.size() / 2, 2000, std::string(2000, '\0'));
    test::write_file(path(name), bytes);
  }
  void cut(const std::string& name, const std::string& into) {
    const std::string bytes = test::read_bytes(path(name));
    test::write_file(path(into), bytes.substr(0, bytes.size() * 6 / 10));
  }
  std::string make(const std::string& file) {
    const size_t space = file.rfind(' ');
    ffmpeg("-i s.wav " + file);
    return file.substr(space + 1);
  }
};

TEST_F(DamagedAudio, WhatFollowsIsHeardAtItsTime) {
  for (const char* file :
       {"-c:a flac a.flac", "-c:a libopus -b:a 64k a.opus", "-c:a libvorbis -b:a 64k a.ogg",
        "-c:a aac a.m4a", "-c:a alac alac.m4a", "-c:a libopus -cluster_time_limit 1000 a.mka",
        "-c:a tta a.tta", "-c:a alac a.caf"}) {
    const std::string name = make(file);
    const Heard whole = hear(name);
    damage(name);
    const Heard damaged = hear(name);
    EXPECT_NEAR(damaged.seconds(), whole.seconds(), 0.01) << name;
    EXPECT_GT(match(damaged, 0.5, 3), 0.9) << name;
    EXPECT_GT(match(damaged, 9, 11.5), 0.9) << name;
    EXPECT_NE(damaged.all_notices().find("is damaged at"), std::string::npos) << name;
    EXPECT_TRUE(damaged.truncated) << name;
    EXPECT_EQ(whole.all_notices(), "") << name;
    EXPECT_EQ(hear_pipe(name).samples, damaged.samples) << name;
  }
}

// Without times the length of what is lost is estimated from its bytes.
TEST_F(DamagedAudio, StreamsWithoutAContainerKeepTheirTimesNearly) {
  for (const char* file : {"-c:a libmp3lame -b:a 64k a.mp3", "-c:a aac a.aac", "-c:a ac3 a.ac3"}) {
    const std::string name = make(file);
    const double whole = hear(name).seconds();
    damage(name);
    const Heard damaged = hear(name);
    EXPECT_NEAR(damaged.seconds(), whole, 0.08) << name;
    EXPECT_NE(damaged.all_notices().find("is damaged at"), std::string::npos) << name;
  }
}

// Joined MP3s have tags in the middle.
TEST_F(DamagedAudio, TagsAreNoDamage) {
  make("-c:a libmp3lame -b:a 64k a.mp3");
  const std::string mp3 = test::read_bytes(path("a.mp3"));
  std::string tag = std::string("ID3\4\0\0\0\0\x4e\x20", 10);  // 10016 bytes follow
  for (const float sample : test::noise(10016, 60, 1))
    tag += static_cast<char>(static_cast<int>(sample));
  const std::string id3v1 = "TAG" + std::string(125, ' ');
  test::write_file(path("both.mp3"), mp3 + id3v1 + tag + mp3);
  const Heard both = hear("both.mp3");
  EXPECT_EQ(both.all_notices(), "");
  EXPECT_NEAR(both.seconds(), 2 * kSeconds, 0.2);
}

TEST_F(DamagedAudio, CutFilesSaySo) {
  for (const char* file : {"-c:a libopus a.opus", "-c:a libvorbis a.ogg", "-c:a flac a.flac",
                           "-c:a libopus a.webm", "-c:a pcm_s16be a.aiff", "-c:a pcm_s16le a.w64",
                           "-c:a pcm_s16be a.au", "-c:a pcm_s16le -rf64 always rf64.wav",
                           "-c:a libmp3lame a.mp3", "-c:a aac -movflags faststart a.m4a"}) {
    const std::string name = make(file);
    EXPECT_EQ(hear(name).all_notices(), "") << name;
    cut(name, "cut");
    const Heard rest = hear("cut");
    EXPECT_NE(rest.all_notices().find("ends at "), std::string::npos) << name;
    EXPECT_EQ(rest.notices.size(), 1u) << rest.all_notices();
    EXPECT_TRUE(rest.truncated) << name;
    EXPECT_GT(rest.seconds(), 5) << name;
  }
}

TEST_F(DamagedAudio, AMissingIndexIsNamed) {
  make("-c:a aac a.m4a");
  cut("a.m4a", "cut.m4a");
  const std::string error = test::error_of([&] { hear("cut.m4a"); });
  EXPECT_NE(error.find("index (moov)"), std::string::npos) << error;
}

// One after another; every byte counts.
class WavChunksTest : public testing::Test {
 protected:
  static Heard file(const std::string& bytes) {
    test::TemporaryFolder folder;
    test::write_file(folder.path() / "a.wav", bytes);
    return test::heard(AudioReader::open(folder.path() / "a.wav"));
  }
  static Heard pipe(const std::string& bytes) {
    test::Pipe pipe(bytes, 4321);
    return test::heard(AudioReader::from_descriptor(pipe.descriptor(), "pipe"));
  }
  // From a file and from a pipe; what they say.
  void expect_all(const std::string& bytes, const std::string& says) {
    for (const Heard& heard : {file(bytes), pipe(bytes)}) {
      EXPECT_EQ(heard.samples, samples_);
      EXPECT_NE(heard.all_notices().find(says), std::string::npos) << heard.all_notices();
      EXPECT_EQ(heard.notices.empty(), says.empty()) << heard.all_notices();
    }
  }
  static std::string chunk(const std::string& id, const std::string& bytes) {
    std::string out = id;
    for (int i = 0; i < 4; ++i) out += static_cast<char>(bytes.size() >> (8 * i));
    return out + bytes + std::string(bytes.size() % 2, '\0');
  }
  static std::string header(size_t bytes) {
    return test::wav_header(16000, 1, 32, static_cast<uint32_t>(bytes), 3);
  }

  std::vector<float> samples_ = test::noise(60000, 0.1, 1);  // more than a stream's head
  std::string data_ = test::f32le(samples_);
};

TEST_F(WavChunksTest, AllDataChunksAreHeard) {
  const std::string first = data_.substr(0, 100000), second = data_.substr(100000, 40000),
                    third = data_.substr(140000);
  const std::string wav = header(first.size()) + first + chunk("LIST", "INFOodd") +
                          chunk("data", second) + chunk("data", "") + chunk("data", third);
  expect_all(wav, "");
  expect_all(wav + chunk("id3 ", std::string(70000, 'x')), "");
}

TEST_F(WavChunksTest, SamplesBehindTheDeclaredOnesAreHeard) {
  for (const size_t declared : {40u, 100000u, 100001u})
    expect_all(header(declared) + data_, "is longer than its header says");
}

TEST_F(WavChunksTest, UnknownLengthsAreReadToTheEnd) {
  for (const uint32_t declared : {0u, 0x7FFFFFDBu, 0x80000000u, 0xFFFFFFFFu})
    expect_all(header(declared) + data_, "");
}

TEST_F(WavChunksTest, ALengthOfZeroBeforeAnotherChunkIsTrue) {
  expect_all(header(0) + chunk("LIST", "INFO") + chunk("data", data_), "");
}

TEST_F(WavChunksTest, PaddingBehindTheLastChunkIsNoSound) {
  expect_all(header(data_.size()) + data_ + std::string(2000, '\0'), "");
}

TEST_F(WavChunksTest, LessThanDeclaredIsReported) {
  expect_all(header(data_.size() + 400000) + data_, "before its header says (10.00 s)");
}

}  // namespace
}  // namespace parley::dsp
