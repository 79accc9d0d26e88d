// Which files of a folder transcribe reads, how it names what it writes, and which channel it
// hears.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

using Names = std::vector<std::string>;

TEST(TranscribeNames, InputsThatDifferInTheirExtensionKeepIt) {
  const Bench bench;
  bench.clip("in/talk.mp3");  // the content tells the format
  bench.clip("in/talk.wav");
  bench.clip("in/other.wav");
  bench.clip("in/sub/talk.wav");
  const Outcome folder = bench.run({"-o", bench.path("out"), bench.path("in")});
  EXPECT_EQ(folder.code, 0) << folder.err;
  EXPECT_EQ(bench.files("out"),
            (Names{"other.txt", "sub/talk.txt", "talk.mp3.txt", "talk.wav.txt"}));
  EXPECT_NE(folder.err.find("in/talk.mp3: is written to"), std::string::npos) << folder.err;
  const Outcome files = bench.run(
      {"-o", bench.path("files"), bench.path("in/talk.mp3"), bench.path("in/talk.wav"), "--quiet"});
  EXPECT_EQ(files.code, 0) << files.err;
  EXPECT_EQ(files.err, "");
  EXPECT_EQ(bench.files("files"), (Names{"talk.mp3.txt", "talk.wav.txt"}));
}

TEST(TranscribeNames, AnExtensionThatIsKeptMayMeetAnotherName) {
  const Bench bench;
  for (const char* name : {"in/talk.mp3", "in/talk.wav", "in/talk.mp3.wav"}) bench.clip(name);
  const Outcome outcome = bench.run({"-o", bench.path("out"), bench.path("in")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(bench.files("out"), (Names{"talk.mp3.txt", "talk.mp3.wav.txt", "talk.wav.txt"}));
}

TEST(TranscribeNames, AFilterKeepsTheExtensionOfWhatComesLater) {
  const Bench bench;
  const std::string lines = bench.clip("talk.mp3") + "\n" + bench.clip("talk.wav") + "\n";
  const Outcome outcome = bench.run({"-o", bench.path("out"), "--jobs-file", "-"}, lines);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(bench.files("out"), (Names{"talk.txt", "talk.wav.txt"}));
}

TEST(TranscribeNames, ANameThatIsTooLongIsRefusedBeforeAnyWork) {
  const Bench bench;
  const std::string longest(244, 'a');  // with .txt and a temporary name 255
  for (const std::string& name : {longest, longest + "a", std::string(251, 'b')})
    bench.clip("in/" + name + ".wav");
  const Outcome outcome = bench.run({"-o", bench.path("out"), bench.path("in")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(bench.files("out"), Names{longest + ".txt"});
  EXPECT_NE(outcome.err.find("its name is too long by 1 bytes for a .txt file"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("too long by 7 bytes"), std::string::npos) << outcome.err;
  EXPECT_EQ(bench.run({bench.path("in/" + longest + "a.wav")}).code, 0);
}

TEST(TranscribeNames, FoldersAreSearchedForWhateverHasSound) {
  const Bench bench;
  Names expected;
  for (const char* suffix : {"3ga", "amr", "awb", "dss", "m2ts", "m4b", "mka", "mxf", "oga", "ogv",
                             "opus", "qcp", "rmvb", "spx", "ts", "VOB", "weba", "wma", "wv"}) {
    bench.clip(std::string("in/") + suffix + "." + suffix);
    expected.push_back(std::string(suffix) + ".txt");
  }
  write_file(bench.path("in/program.ts"), "export const speech: string = \"text\";\n");
  write_file(bench.path("in/cover.jpg"), "no sound");
  write_file(bench.path("in/talk.srt"), "no sound");
  std::sort(expected.begin(), expected.end());
  const Outcome outcome = bench.run({"-o", bench.path("out"), bench.path("in")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(bench.files("out"), expected);
}

std::string stereo(std::span<const float> left, std::span<const float> right) {
  std::vector<float> samples;
  for (size_t i = 0; i < left.size(); ++i) {
    samples.push_back(left[i]);
    samples.push_back(right[i]);
  }
  const std::string bytes = s16le(samples);
  return wav_header(16000, 2, 16, static_cast<uint32_t>(bytes.size())) + bytes;
}

TEST(TranscribeChannels, OneOfThemOrTheLoudestIsHeard) {
  const Bench bench;
  const std::string clip = read_bytes(bench.clip("a.wav"));
  std::vector<float> speech;
  for (size_t i = 44; i + 1 < clip.size(); i += 2) {
    const auto low = static_cast<uint8_t>(clip[i]), high = static_cast<uint8_t>(clip[i + 1]);
    speech.push_back(static_cast<int16_t>(low | high << 8) / 32768.0f);
  }
  std::vector<float> opposite = speech;
  for (float& sample : opposite) sample = -sample;
  write_file(bench.path("opposite.wav"), stereo(speech, opposite));
  write_file(bench.path("left.wav"), stereo(speech, std::vector<float>(speech.size())));
  const auto text = [&](const Names& arguments, const std::string& input = "") {
    Names all = {"-f", "json", "-l", "en"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome outcome = bench.run(all, input);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out).at("text").get<std::string>();
  };
  const std::string expected = text({bench.path("a.wav")});
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(text({"--channel", "1", bench.path("left.wav")}), expected);
  EXPECT_EQ(text({"--channel", "1", "-"}, read_bytes(bench.path("left.wav"))), expected);
  EXPECT_EQ(text({"--channel", "1", bench.path("opposite.wav")}), expected);
  EXPECT_EQ(text({"--channel", "2", bench.path("left.wav")}), "");
  EXPECT_FALSE(text({bench.path("opposite.wav")}).empty());
  const std::string notice = "cancel each other out";
  for (const Names& arguments :
       {Names{bench.path("opposite.wav")}, Names{"--live", bench.path("opposite.wav")},
        Names{"--strategy", "sequential", bench.path("opposite.wav")}}) {
    const Outcome outcome = bench.run(arguments);
    EXPECT_NE(outcome.err.find(notice), std::string::npos) << outcome.err;
  }
  EXPECT_EQ(bench.run({"--channel", "mix", bench.path("left.wav")}).err, "");
}

TEST(TranscribeChannels, ThoseThatAreNotThereAreRefused) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const Outcome channel = bench.run({"--channel", "2", clip});
  EXPECT_EQ(channel.code, 1);
  EXPECT_EQ(channel.err, "transcribe: " + clip + ": has 1 channel, there is no channel 2\n");
  const Outcome live = bench.run({"--live", "--track", "2", clip});
  EXPECT_EQ(live.code, 1) << live.err;
  EXPECT_NE(live.err.find("has 1 track of sound, there is no track 2"), std::string::npos)
      << live.err;
  for (const Names& wrong :
       {Names{"--channel", "0"}, Names{"--channel", "65"}, Names{"--channel", "left"},
        Names{"--track", "0"}, Names{"--track", "mix"}}) {
    EXPECT_EQ(bench.run({wrong[0], wrong[1], clip}).code, 2) << wrong[1];
  }
  EXPECT_EQ(transcribe({"--mic", "--channel", "1"}).code, 2);
}

}  // namespace
}  // namespace parley::test
