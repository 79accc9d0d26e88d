// Several recordings in one file, other rates and channels in the middle, several tracks.
#include "parley/tests/dsp/recordings.h"

namespace parley::dsp {
namespace {

using test::Heard;

class JoinedAudio : public test::Recordings {
 protected:
  // Makes a and b of the halves of the sound and joins them.
  void halves(const std::string& suffix, const std::string& first, const std::string& second) {
    ffmpeg("-t 6 -i s.wav " + first + " a." + suffix);
    ffmpeg("-ss 6 -i s.wav " + second + " b." + suffix);
    join({"a." + suffix, "b." + suffix}, "both." + suffix);
  }
  void expect_both(const Heard& heard, double delay = 0, double most = 0.2) {
    EXPECT_GT(match(heard, 1, 5, delay), 0.85);
    EXPECT_GT(std::max(match(heard, 7, 11), match_near(heard, 7, 7.5, 0, most)), 0.85);
    EXPECT_NEAR(heard.seconds(), kSeconds, most + 0.01);
  }
};

TEST_F(JoinedAudio, AllLinksOfAChainedOggAreHeard) {
  for (const char* codec : {"libvorbis", "libopus", "flac"}) {
    halves("ogg", "-c:a " + std::string(codec), "-c:a " + std::string(codec));
    const Heard both = hear("both.ogg");
    EXPECT_EQ(both.seconds(), kSeconds) << codec;
    expect_both(both, 0, 0);
    EXPECT_EQ(both.all_notices(), "") << codec;
    EXPECT_EQ(hear_pipe("both.ogg").samples, both.samples);
  }
}

TEST_F(JoinedAudio, LinksMayHaveOtherRatesChannelsAndCodecs) {
  halves("ogg", "-c:a libvorbis -ar 44100", "-c:a libvorbis -ar 22050 -ac 2");
  expect_both(hear("both.ogg"), 0, 0.002);
  halves("ogg", "-c:a libvorbis", "-c:a libopus");
  expect_both(hear("both.ogg"), 0, 0.002);
  halves("ogg", "-bitexact -c:a flac", "-bitexact -c:a flac -ar 48000");  // and one serial number
  expect_both(hear("both.ogg"), 0, 0.002);
  EXPECT_EQ(hear("both.ogg").all_notices(), "");
}

TEST_F(JoinedAudio, ALinkThatCannotBeReadIsReported) {
  halves("ogg", "-c:a libopus", "-c:a libopus");
  std::string bytes = test::read_bytes(path("both.ogg"));
  const size_t second = bytes.rfind("OpusHead");
  ASSERT_NE(second, std::string::npos);
  bytes.replace(second, 8, "Nonsense");
  test::write_file(path("both.ogg"), bytes);
  const Heard both = hear("both.ogg");
  EXPECT_GT(match(both, 1, 5), 0.85);
  EXPECT_NE(both.all_notices().find("another recording"), std::string::npos);
}

TEST_F(JoinedAudio, RatesAndChannelsMayChangeInTheMiddle) {
  halves("mp3", "-ar 44100 -c:a libmp3lame", "-ar 22050 -ac 2 -c:a libmp3lame");
  expect_both(hear("both.mp3"));
  EXPECT_EQ(hear("both.mp3").all_notices(), "");
  EXPECT_EQ(hear_pipe("both.mp3").samples, hear("both.mp3").samples);
  halves("aac", "-ar 44100 -c:a aac", "-ar 22050 -ac 2 -c:a aac");
  EXPECT_GT(match_near(hear("both.aac"), 1, 1.5, 0, 0.1), 0.85);
  EXPECT_GT(match_near(hear("both.aac"), 7, 7.5, 0, 0.3), 0.85);
  EXPECT_EQ(hear("both.aac").all_notices(), "");
  halves("ts", "-ar 48000 -ac 2 -c:a mp2", "-ar 32000 -c:a mp2 -output_ts_offset 6");
  EXPECT_GT(match_near(hear("both.ts"), 7, 7.5, 0, 0.1), 0.85);
}

TEST_F(JoinedAudio, FlacsMp4sAndWavsAreHeardOneAfterTheOther) {
  halves("flac", "-c:a flac", "-c:a flac -ar 32000");
  expect_both(hear("both.flac"), 0, 0);
  halves("m4a", "-c:a aac", "-c:a aac");
  expect_both(hear("both.m4a"), 0, 0.1);
  halves("mp4", "-c:a aac -movflags frag_keyframe+empty_moov",
         "-c:a aac -movflags frag_keyframe+empty_moov");
  EXPECT_NEAR(hear("both.mp4").seconds(), kSeconds, 0.3);
  halves("wav", "-c:a pcm_s16le", "-c:a pcm_s16le");
  expect_both(hear("both.wav"), 0, 0);
  expect_both(hear_pipe("both.wav"), 0, 0);
  halves("wav", "-c:a pcm_s16le", "-c:a pcm_f32le -ar 48000 -ac 2");
  expect_both(hear("both.wav"), 0, 0);
  EXPECT_NE(hear_pipe("both.wav").all_notices().find("another recording"), std::string::npos);
}

TEST_F(JoinedAudio, TracksAndChannelsAreChosen) {
  ffmpeg(
      "-i s.wav -f lavfi -i sine=frequency=300:duration=12 -map 1:a -map 0:a -c:a flac "
      "-disposition:a:0 0 -disposition:a:1 default a.mkv");
  const Heard usual = hear("a.mkv");
  EXPECT_GT(match(usual, 1, 11), 0.99);
  EXPECT_NE(usual.all_notices().find("has 2 tracks of sound; track 2"), std::string::npos)
      << usual.all_notices();
  EXPECT_LT(match(hear("a.mkv", {.track = 1}), 1, 11), 0.1);
  EXPECT_EQ(hear("a.mkv", {.track = 2}).samples, usual.samples);
  EXPECT_EQ(hear("a.mkv", {.track = 2}).all_notices(), "");
  EXPECT_NE(test::error_of([&] { hear("a.mkv", {.track = 3}); }).find("there is no track 3"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { hear("s.wav", {.track = 2}); }).find("there is no track 2"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { hear("s.wav", {.channel = 2}); }).find("there is no channel 2"),
            std::string::npos);
  ffmpeg(
      "-i s.wav -f lavfi -i sine=frequency=300:duration=12 -filter_complex amerge -ac 2 -c:a "
      "flac two.flac");
  EXPECT_GT(match(hear("two.flac", {.channel = 1}), 1, 11), 0.99);
  EXPECT_LT(match(hear("two.flac", {.channel = 2}), 1, 11), 0.1);
}

// As ffmpeg mixes it.
TEST_F(JoinedAudio, FilmsAreMixedByTheirSpeakers) {
  ffmpeg(
      "-i s.wav -f lavfi -i anoisesrc=amplitude=0.2:duration=12:sample_rate=16000:seed=1 "
      "-filter_complex \"[1:a]asplit=2[l][r];[l][r][0:a][1:a]join=inputs=4:channel_layout=5.1:"
      "map=0.0-FL|1.0-FR|2.0-FC|3.0-LFE|0.0-BL|1.0-BR\" -c:a flac film.flac");
  ffmpeg("-i film.flac -f s16le -ac 1 -ar 16000 film.s16");
  const Heard film = hear("film.flac");
  const std::string reference = test::read_bytes(path("film.s16"));
  ASSERT_EQ(reference.size(), 2 * film.samples.size());
  for (size_t i = 0; i < film.samples.size(); ++i) {
    const auto low = static_cast<uint8_t>(reference[2 * i]);
    const auto value = static_cast<int16_t>(low | static_cast<uint8_t>(reference[2 * i + 1]) << 8);
    ASSERT_NEAR(film.samples[i], value / 32768.0, 1e-3) << i;
  }
}

}  // namespace
}  // namespace parley::dsp
