// Every format, rate and number of channels comes out as the same 16 kHz mono.
#include <gtest/gtest.h>
#include <sndfile.h>

#include <cmath>
#include <cstdlib>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

void write_sndfile(const std::filesystem::path& path, int format, int rate, int channels,
                   std::span<const float> interleaved) {
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr) << sf_strerror(nullptr);
  const auto frames = static_cast<sf_count_t>(interleaved.size()) / channels;
  EXPECT_EQ(sf_writef_float(file, interleaved.data(), frames), frames);
  sf_close(file);
}

// The same signal in every channel; of two it is scaled by 0.5 and 1.5, whose mean is itself.
std::vector<float> spread(std::span<const float> mono, int channels) {
  std::vector<float> out;
  for (const float sample : mono) {
    for (int c = 0; c < channels; ++c)
      out.push_back(sample * (channels != 2 ? 1.0f : c == 0 ? 0.5f : 1.5f));
  }
  return out;
}

// The largest difference to the sine that it should be, apart from the edges; NaN when lengths
// differ by over `slack` samples.
float difference(const std::vector<float>& out, const std::vector<float>& expected,
                 size_t slack = 0) {
  const size_t longer = std::max(out.size(), expected.size()),
               shorter = std::min(out.size(), expected.size());
  if (longer - shorter > slack || shorter < 4000) return std::nanf("");
  float worst = 0;
  for (size_t i = 1500; i + 1500 < shorter; ++i)
    worst = std::max(worst, std::fabs(out[i] - expected[i]));
  return worst;
}

struct Format {
  const char* name;
  int format;
  int rate;
  int channels;
  float tolerance;
};

void PrintTo(const Format& format, std::ostream* out) { *out << format.name; }

class AudioFormat : public testing::TestWithParam<Format> {};

TEST_P(AudioFormat, DecodesToMonoAtSixteenKilohertz) {
  const Format& format = GetParam();
  test::TemporaryFolder folder;
  const auto path = folder.path() / "audio";  // the content tells the format, not the name
  const auto frames = static_cast<size_t>(format.rate);
  write_sndfile(path, format.format, format.rate, format.channels,
                spread(test::sine(440, format.rate, frames, 0.4), format.channels));
  AudioReader reader = AudioReader::open(path);
  EXPECT_NEAR(reader.duration_hint(), 1, 0.01);  // Opus: with what decoders leave out
  const auto out = test::read_all(reader);
  // libavcodec ends a Vorbis stream 128 samples early.
  const int64_t slack = format.format == (SF_FORMAT_OGG | SF_FORMAT_VORBIS) ? 50 : 0;
  EXPECT_LT(
      difference(out, test::sine(440, kSampleRate, kSampleRate, 0.4), static_cast<size_t>(slack)),
      format.tolerance);
  EXPECT_NEAR(static_cast<double>(reader.samples_read()), kSampleRate, static_cast<double>(slack));
  EXPECT_EQ(reader.non_finite_samples(), 0);
  EXPECT_FALSE(reader.truncated());
  EXPECT_EQ(reader.notices(), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(
    Libsndfile, AudioFormat,
    testing::Values(Format{"wav_16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, 1e-4f},
                    Format{"wav_8k_stereo", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 2, 2e-3f},
                    Format{"wav_44k_stereo", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 44100, 2, 1e-3f},
                    Format{"wav_24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 48000, 1, 1e-3f},
                    Format{"wav_32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 16000, 1, 1e-6f},
                    Format{"wav_float", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 2, 1e-6f},
                    Format{"wav_double", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 16000, 1, 1e-6f},
                    Format{"wav_u8", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 16000, 1, 1e-2f},
                    Format{"wav_alaw", SF_FORMAT_WAV | SF_FORMAT_ALAW, 16000, 1, 2e-2f},
                    Format{"wav_ulaw", SF_FORMAT_WAV | SF_FORMAT_ULAW, 8000, 1, 2e-2f},
                    Format{"wav_extensible_5.1", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 48000, 6,
                           1e-3f},
                    Format{"wav_64_channels", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 16000, 64, 1e-3f},
                    Format{"rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16000, 1, 1e-4f},
                    Format{"aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 22050, 2, 1e-3f},
                    Format{"au", SF_FORMAT_AU | SF_FORMAT_PCM_16, 16000, 1, 1e-4f},
                    Format{"caf", SF_FORMAT_CAF | SF_FORMAT_PCM_16, 16000, 1, 1e-4f},
                    Format{"flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, 1e-3f},
                    Format{"vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100, 1, 5e-2f},
                    Format{"opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 1, 5e-2f}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST(AudioReader, SixteenKilohertzMonoPassesBitExactly) {
  test::TemporaryFolder folder;
  std::vector<float> samples = test::noise(20000, 0.5, 1);
  samples[7] = 3.5f;  // beyond full scale is kept
  samples[8] = -40000.0f;
  test::write_file(folder.path() / "a.wav",
                   test::wav_header(16000, 1, 32, 80000, 3) + test::f32le(samples));
  AudioReader reader = AudioReader::open(folder.path() / "a.wav");
  EXPECT_EQ(test::read_all(reader, 999), samples);
  EXPECT_EQ(reader.non_finite_samples(), 0);
}

TEST(AudioReader, AnAbsurdLengthIsNotBelieved) {
  test::TemporaryFolder folder;
  const auto path = folder.path() / "a.flac";
  write_sndfile(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1000, 1, test::noise(5000, 0.2, 1));
  std::string bytes = test::read_bytes(path);
  ASSERT_EQ(bytes.substr(0, 4), "fLaC");
  bytes[21] |= 0x0F;  // STREAMINFO: 36 bits of total samples
  bytes.replace(22, 4, "\xFF\xFF\xFF\xFF");
  test::write_file(path, bytes);
  AudioReader reader = AudioReader::open(path);
  EXPECT_EQ(reader.duration_hint(), -1);
  EXPECT_EQ(test::read_all(reader).size(), 80000u);
  EXPECT_TRUE(reader.truncated());
}

TEST(AudioReader, BlockSizesChangeNothing) {
  test::TemporaryFolder folder;
  const auto path = folder.path() / "a.flac";
  write_sndfile(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 44100, 2, test::noise(60000, 0.2, 1));
  AudioReader reader = AudioReader::open(path);
  const auto expected = test::read_all(reader, 1 << 20);
  for (const size_t block : {1u, 160u, 5000u}) {
    AudioReader again = AudioReader::open(path);
    EXPECT_EQ(test::read_all(again, block), expected) << block;
  }
}

// Makes `name` from a second of sine with the ffmpeg program, or skips.
#define MAKE_WITH_FFMPEG(folder, name, options)                                                   \
  if (std::system("ffmpeg -version > /dev/null 2>&1") != 0)                                       \
    GTEST_SKIP() << "needs the ffmpeg program";                                                   \
  ASSERT_EQ(std::system(("ffmpeg -v error -nostdin -y -f lavfi -i "                               \
                         "sine=frequency=440:sample_rate=44100:duration=1 "                       \
                         "-f lavfi -i color=black:size=64x64:duration=1 " +                       \
                         std::string(options) + " '" + ((folder).path() / (name)).string() + "'") \
                            .c_str()),                                                            \
            0)

class VideoAndLossy : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(VideoAndLossy, DecodesTheAudio) {
  test::TemporaryFolder folder;
  const auto& [name, options] = GetParam();
  MAKE_WITH_FFMPEG(folder, name, options);
  AudioReader reader = AudioReader::open(folder.path() / name);
  const auto out = test::read_all(reader);
  EXPECT_NEAR(reader.duration_hint(), 1, 0.1);
  EXPECT_NEAR(static_cast<double>(out.size()), kSampleRate,
              0.08 * kSampleRate);  // encoders pad to whole frames
  // ffmpeg's sine has an amplitude of 1/8.
  EXPECT_LT(difference(out, test::sine(440, kSampleRate, kSampleRate, 0.125), 1300), 0.02f);
  EXPECT_FALSE(reader.truncated());
}

INSTANTIATE_TEST_SUITE_P(
    Ffmpeg, VideoAndLossy,
    testing::Values(std::pair{"a.m4a", "-map 0:a -c:a aac -b:a 128k"},
                    std::pair{"a.mp4", "-map 0:a -map 1:v -c:a aac -c:v mpeg4"},
                    std::pair{"a.mov", "-map 0:a -map 1:v -c:a pcm_s16be -c:v mpeg4"},
                    std::pair{"a.mkv", "-map 0:a -map 1:v -c:a flac -c:v mpeg4"},
                    std::pair{"a.webm", "-map 0:a -c:a libopus"},
                    std::pair{"a.mp3", "-map 0:a -c:a libmp3lame"},
                    std::pair{"a.avi", "-map 0:a -map 1:v -c:a pcm_u8 -c:v mpeg4"},
                    std::pair{"f64.mkv", "-map 0:a -c:a pcm_f64le"},
                    std::pair{"a.wv", "-map 0:a -c:a wavpack"}));

TEST(AudioReader, AVideoWithoutSoundHasNoAudio) {
  test::TemporaryFolder folder;
  MAKE_WITH_FFMPEG(folder, "mute.mp4", "-map 1:v -c:v mpeg4");
  EXPECT_NE(
      test::error_of([&] { AudioReader::open(folder.path() / "mute.mp4"); }).find("has no audio"),
      std::string::npos);
}

TEST(AudioReader, SoundThatBeginsLateIsPrecededBySilence) {
  test::TemporaryFolder folder;
  MAKE_WITH_FFMPEG(folder, "plain.mkv", "-map 0:a -map 1:v -c:a flac -c:v mpeg4");
  const std::string plain = (folder.path() / "plain.mkv").string(),
                    late = (folder.path() / "late.mkv").string();
  ASSERT_EQ(std::system(("ffmpeg -v error -nostdin -itsoffset 0.5 -i " + plain + " -i " + plain +
                         " -map 0:a -map 1:v -c copy " + late)
                            .c_str()),
            0);
  AudioReader on_time = AudioReader::open(plain), delayed = AudioReader::open(late);
  std::vector<float> expected(kSampleRate / 2);
  const auto sound = test::read_all(on_time);
  expected.insert(expected.end(), sound.begin(), sound.end());
  EXPECT_LT(difference(test::read_all(delayed), expected, 1), 0.01f);
  EXPECT_NEAR(delayed.duration_hint(), 1.5, 0.05);
  EXPECT_FALSE(delayed.truncated());
}

TEST(AudioReader, APlaylistCannotNameOtherFiles) {
  test::TemporaryFolder folder;
  MAKE_WITH_FFMPEG(folder, "secret.m4a", "-map 0:a -c:a aac");
  const std::string secret = (folder.path() / "secret.m4a").string();
  test::write_file(folder.path() / "a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" +
                                                 secret + "\n#EXT-X-ENDLIST\n");
  EXPECT_NE(test::error_of([&] { AudioReader::open(folder.path() / "a.m3u8"); }), "");
  test::write_file(folder.path() / "a.ffconcat", "ffconcat version 1.0\nfile secret.m4a\n");
  EXPECT_NE(test::error_of([&] { AudioReader::open(folder.path() / "a.ffconcat"); }), "");
}

TEST(AudioReader, ATruncatedVideoIsReadAsFarAsItGoes) {
  test::TemporaryFolder folder;
  MAKE_WITH_FFMPEG(folder, "a.mkv", "-map 0:a -af apad=whole_dur=20 -c:a flac");
  const std::string bytes = test::read_bytes(folder.path() / "a.mkv");
  test::write_file(folder.path() / "cut.mkv", bytes.substr(0, bytes.size() / 2));
  AudioReader reader = AudioReader::open(folder.path() / "cut.mkv");
  EXPECT_GT(test::read_all(reader).size(), 1000u);
  EXPECT_TRUE(reader.truncated());
}

TEST(AudioReader, AgreesWithFfmpegOnRealSpeech) {
  const auto mp3 =
      test::shared_path("corpus/librispeech_dev_clean_mp3/1272/128104/1272-128104-0000.mp3");
  if (!mp3) GTEST_SKIP() << test::kNoShared;
  if (std::system("ffmpeg -version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "needs the ffmpeg program";
  test::TemporaryFolder folder;
  const auto reference = folder.path() / "a.f32";
  ASSERT_EQ(std::system(("ffmpeg -v error -nostdin -i '" + mp3->string() +
                         "' -f f32le -ac 1 -ar 16000 " + reference.string())
                            .c_str()),
            0);
  AudioReader reader = AudioReader::open(*mp3);
  const auto out = test::read_all(reader);
  EXPECT_LT(difference(out, test::read_f32(reference), 2), 2e-3f);
}

}  // namespace
}  // namespace parley::dsp
