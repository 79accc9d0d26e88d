// Pipes: the same samples as from a file, and as early as they can be known.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

std::vector<float> read_pipe(const std::string& bytes,
                             const std::optional<RawFormat>& raw = std::nullopt) {
  test::Pipe pipe(bytes);
  AudioReader reader = AudioReader::from_descriptor(pipe.descriptor(), "pipe", raw);
  return test::read_all(reader, 777);
}

TEST(AudioStream, RawSamplesOfEveryKind) {
  const auto samples = test::noise(20001, 0.1, 1);
  EXPECT_EQ(read_pipe(test::f32le(samples), RawFormat{RawFormat::Encoding::kF32le, 16000, 1}),
            samples);
  const auto quantized = read_pipe(test::s16le(samples), RawFormat{});
  ASSERT_EQ(quantized.size(), samples.size());
  for (size_t i = 0; i < samples.size(); ++i) ASSERT_NEAR(quantized[i], samples[i], 1.0 / 65535);
  EXPECT_EQ(read_pipe(test::s16le(samples), RawFormat{RawFormat::Encoding::kS16le, 8000, 2}).size(),
            20000u);
  EXPECT_EQ(read_pipe("", RawFormat{}).size(), 0u);
  EXPECT_EQ(read_pipe("abc", RawFormat{}).size(), 1u);  // half a sample is none
}

TEST(AudioStream, ImpossibleRawFormatsAreRefused) {
  for (const RawFormat& raw : {RawFormat{.rate = 0}, RawFormat{.rate = -1},
                               RawFormat{.channels = 0}, RawFormat{.channels = 65}}) {
    EXPECT_NE(test::error_of([&] { read_pipe("abcd", raw); }), "");
  }
}

TEST(AudioStream, WavsAreReadAsFromAFile) {
  const auto samples = test::noise(100000, 0.1, 1);
  const std::string data = test::f32le(samples);
  for (const uint32_t declared : {400000u, 0u, 0x7FFFF000u, 0xFFFFFFFFu}) {
    EXPECT_EQ(read_pipe(test::wav_header(16000, 1, 32, declared, 3) + data), samples) << declared;
  }
  std::string trailing =
      test::wav_header(16000, 1, 32, 400000, 3) + data + std::string("LIST\4\0\0\0INFO", 12);
  trailing.insert(
      36, std::string("LIST\x0a\0\0\0INFOISFT\1\0", 18));  // ffmpeg writes one before the samples
  EXPECT_EQ(read_pipe(trailing), samples);
}

TEST(AudioStream, ATruncatedWavSaysSo) {
  test::Pipe pipe(test::wav_header(16000, 1, 16, 40000) + std::string(1000, 0));
  AudioReader reader = AudioReader::from_descriptor(pipe.descriptor(), "pipe");
  EXPECT_EQ(test::read_all(reader).size(), 500u);
  EXPECT_TRUE(reader.truncated());
}

TEST(AudioStream, NothingAndGarbageAreErrors) {
  EXPECT_NE(test::error_of([] { read_pipe(""); }).find("pipe: is empty: has no audio"),
            std::string::npos);
  EXPECT_NE(test::error_of([] { read_pipe("hello"); }), "");
  EXPECT_NE(test::error_of([] { read_pipe(std::string(300000, 'x')); }), "");
  EXPECT_NE(test::error_of([] { read_pipe("RIFF\x10\0\0\0WAVEjunk"); }), "");
}

// Samples come out while the writer still has the pipe open: nothing waits for the end of the
// stream.
TEST(AudioStream, SamplesAreDeliveredAsTheyArrive) {
  const auto samples = test::noise(3200, 0.1, 1);
  const struct {
    std::string header;
    std::optional<RawFormat> raw;
  } cases[] = {{test::wav_header(16000, 1, 32, 0xFFFFFFFFu, 3), std::nullopt},
               {test::wav_header(16000, 1, 32, 1000000, 3), std::nullopt},
               {"", RawFormat{RawFormat::Encoding::kF32le, 16000, 1}}};
  for (const auto& c : cases) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const std::string bytes = c.header + test::f32le(samples);
    ASSERT_EQ(::write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    // The reader would hang here if it asked for more than there is; the alarm of the test runner
    // would tell.
    AudioReader reader = AudioReader::from_descriptor(ends[0], "pipe", c.raw);
    std::vector<float> out(3200);
    EXPECT_EQ(reader.read(out), 3200u);
    EXPECT_EQ(out, samples);
    ::close(ends[1]);
    EXPECT_EQ(reader.read(out), 0u);
    ::close(ends[0]);
  }
}

TEST(AudioStream, FormatsThatNeedSeekingAreSpooled) {
  const auto flac = test::shared_path("corpus/ljspeech_33/LJ001-0002.flac");
  if (!flac) GTEST_SKIP() << test::kNoShared;
  AudioReader file = AudioReader::open(*flac);
  EXPECT_EQ(read_pipe(test::read_bytes(*flac)), test::read_all(file));
}

TEST(AudioStream, ARegularFileAsInputIsReadFromWhereItStands) {
  test::TemporaryFolder folder;
  const auto path = folder.path() / "a";
  const auto samples = test::noise(1000, 0.1, 1);
  test::write_file(path, "prefix" + test::wav_header(16000, 1, 32, 4000, 3) + test::f32le(samples));
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  ASSERT_EQ(::lseek(descriptor, 6, SEEK_SET), 6);
  AudioReader reader = AudioReader::from_descriptor(descriptor, "file");
  EXPECT_EQ(test::read_all(reader), samples);
  ::close(descriptor);
}

}  // namespace
}  // namespace parley::dsp
