// Sound is heard at the times that its container tells.
#include "parley/tests/dsp/recordings.h"

namespace parley::dsp {
namespace {

using test::Heard;

class AudioTimes : public test::Recordings {
 protected:
  void expect_at(const Heard& heard, double from, double to, double later,
                 const std::string& what) {
    for (double at = from; at + 1 <= to; at += 1)
      EXPECT_GT(match_near(heard, at, at + 0.3, later, later + 0.07), 0.85)
          << what << " at " << at << " s";
  }
};

TEST_F(AudioTimes, SoundThatBeginsAfterThePictureIsPrecededBySilence) {
  const struct {
    const char* name;
    const char* codecs;
  } files[] = {
      {"a.mkv", "-c:v mpeg4 -c:a libvorbis"},           {"a.mp4", "-c:v mpeg4 -c:a aac"},
      {"a.mov", "-c:v mpeg4 -c:a pcm_s16le"},           {"a.ts", "-c:v mpeg2video -c:a mp2"},
      {"a.flv", "-c:v flv1 -c:a libmp3lame -ar 44100"}, {"a.nut", "-c:v mpeg4 -c:a flac"}};
  for (const auto& file : files) {
    ffmpeg(
        "-f lavfi -t 17 -i color=black:size=64x64:rate=25 -itsoffset 5 -i s.wav -map 0:v -map "
        "1:a " +
        std::string(file.codecs) + " " + file.name);
    const Heard heard = hear(file.name);
    expect_at(heard, 0.5, 11, 5, file.name);
    EXPECT_LT(loudest(heard, 0, 4.8), 1e-3) << file.name;
    EXPECT_EQ(heard.all_notices(), "") << file.name;
  }
  EXPECT_EQ(hear_pipe("a.mkv").samples, hear("a.mkv").samples);
}

TEST_F(AudioTimes, SoundThatBeginsLateWithoutAPictureIsLate) {
  for (const char* file : {"-c:a libopus a.webm", "-c:a flac a.mka", "-c:a aac a.m4a"}) {
    ffmpeg("-itsoffset 5 -i s.wav " + std::string(file));
    const std::string name = std::string(file).substr(std::string(file).rfind(' ') + 1);
    const Heard heard = hear(name);
    expect_at(heard, 0.5, 11, 5, name);
    EXPECT_EQ(heard.all_notices(), "") << name;
  }
}

TEST_F(AudioTimes, AClockThatRanAlreadyIsNoDelay) {
  ffmpeg("-i s.wav -c:a aac -output_ts_offset 50000 a.ts");
  EXPECT_NEAR(hear("a.ts").seconds(), kSeconds, 0.2);
  ffmpeg("-i s.wav -c:a aac -output_ts_offset 95437 wraps.ts");  // 2^33 / 90000 s
  const Heard wraps = hear("wraps.ts");
  EXPECT_NEAR(wraps.seconds(), kSeconds, 0.2);
  EXPECT_EQ(wraps.all_notices(), "");
}

TEST_F(AudioTimes, GapsAreSilenceOfTheirLength) {
  for (const char* file :
       {"-c:a libopus a.webm", "-c:a aac a.mkv", "-c:a aac a.mp4", "-c:a mp2 a.ts",
        "-c:a aac a.flv", "-c:a flac a.nut", "-c:a pcm_s16le a.mka"}) {
    ffmpeg("-i s.wav -af \"asetpts='if(gt(T,6),PTS+7/TB,PTS)'\" " + std::string(file));
    const std::string name = std::string(file).substr(std::string(file).rfind(' ') + 1);
    const Heard heard = hear(name);
    expect_at(heard, 0.5, 5, 0, name);
    EXPECT_LT(loudest(heard, 6.5, 12.5), 1e-3) << name;
    // An encoder that delays its sound by less than 0.1 s without saying so delays it here, too.
    EXPECT_NEAR(heard.seconds(), kSeconds + 7, 0.15) << name;
    EXPECT_EQ(heard.all_notices(), "") << name;
  }
  const Heard heard = hear("a.webm");
  expect_at(heard, 7, 11, 7, "a.webm");
  // Ogg has a time only where a page ends.
  ffmpeg("-i s.wav -af \"asetpts='if(gt(T,6),PTS+7/TB,PTS)'\" -c:a libvorbis a.ogg");
  EXPECT_NEAR(hear("a.ogg").seconds(), kSeconds + 7, 0.05);
  EXPECT_EQ(hear("a.ogg").all_notices(), "");
  EXPECT_EQ(hear_pipe("a.webm").samples, heard.samples);
}

TEST_F(AudioTimes, MillisecondsOfMatroskaInsertAndCutNothing) {
  ffmpeg("-i s.wav -c:a flac -ar 22050 a.mka");
  ffmpeg("-i s.wav -c:a flac -ar 22050 a.flac");
  EXPECT_EQ(hear("a.mka").samples, hear("a.flac").samples);
}

TEST_F(AudioTimes, WhatIsThereTwiceIsCut) {
  ffmpeg("-t 8 -i s.wav -c:a aac a.ts");
  ffmpeg("-ss 6 -i s.wav -c:a aac -output_ts_offset 6 b.ts");
  join({"a.ts", "b.ts"}, "both.ts");
  const Heard both = hear("both.ts");
  EXPECT_NEAR(both.seconds(), kSeconds, 0.15);
  EXPECT_GT(match_near(both, 9, 9.5, 0, 0.1), 0.85);
}

TEST_F(AudioTimes, AbsurdTimesAreBoundedAndReported) {
  ffmpeg("-t 6 -i s.wav -c:a aac a.ts");
  const struct {
    int begin;
    double seconds;
    const char* says;
  } cases[] = {{20, 26, ""}, {60000, 12, "jump by"}, {0, 12, "start over"}};
  for (const auto& c : cases) {
    ffmpeg("-ss 6 -i s.wav -c:a aac -output_ts_offset " + std::to_string(c.begin) + " b.ts");
    join({"a.ts", "b.ts"}, "both.ts");
    const Heard both = hear("both.ts");
    EXPECT_NEAR(both.seconds(), c.seconds, 0.3) << c.begin;
    EXPECT_EQ(both.notices.empty(), *c.says == 0) << both.all_notices();
    EXPECT_NE(both.all_notices().find(c.says), std::string::npos) << both.all_notices();
  }
}

// What an encoder puts in front and behind is not heard: the samples are those that went in.
TEST_F(AudioTimes, PaddingOfEncodersIsLeftOutAsFfmpegDoes) {
  for (const char* file : {"-c:a aac a.m4a", "-c:a libmp3lame -ar 44100 a.mp3",
                           "-c:a libopus a.opus", "-c:a libopus a.webm", "-c:a libvorbis a.ogg"}) {
    const std::string name = std::string(file).substr(std::string(file).rfind(' ') + 1);
    ffmpeg("-i s.wav " + std::string(file));
    ffmpeg("-i " + name + " -f f32le -ac 1 -ar 16000 reference.f32");
    const Heard heard = hear(name);
    const auto reference = test::read_f32(path("reference.f32"));
    ASSERT_NEAR(static_cast<double>(heard.samples.size()), static_cast<double>(reference.size()), 2)
        << name;
    double worst = 0;
    for (size_t i = 0; i + 500 < std::min(heard.samples.size(), reference.size()); ++i)
      worst = std::max<double>(worst, std::fabs(heard.samples[i] - reference[i]));
    EXPECT_LT(worst, 2e-3) << name;
  }
}

}  // namespace
}  // namespace parley::dsp
