// What transcribe reads: good, strange and broken inputs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "parley/convert/convert.h"
#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

std::string text_of(const Outcome& outcome) {
  return nlohmann::json::parse(outcome.out).at("text").get<std::string>();
}

TEST(TranscribeInputs, BrokenOnesAreReportedByName) {
  const Bench bench;
  write_file(bench.path("empty.wav"), "");
  write_file(bench.path("text.wav"), "this is no sound at all\n");
  std::filesystem::create_directory(bench.path("silent"));
  write_file(bench.path("silent/notes.txt"), "nothing to hear");
  for (const std::string name : {"missing.wav", "empty.wav", "text.wav", "silent"}) {
    const Outcome outcome = bench.run({bench.path(name)});
    EXPECT_EQ(outcome.code, 1) << name;
    EXPECT_EQ(outcome.out, "") << name;
    EXPECT_EQ(outcome.err.rfind("transcribe: " + bench.path(name) + ": ", 0), 0u) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(TranscribeInputs, OneBrokenInputDoesNotStopTheOthers) {
  const Bench bench;
  write_file(bench.path("b.wav"), "RIFF");
  const Outcome outcome =
      bench.run({"-o", bench.path("out"), bench.clip("a.wav"), bench.path("missing.wav"),
                 bench.path("b.wav"), bench.clip("c.wav")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(bench.files("out"), (std::vector<std::string>{"a.txt", "c.txt"}));
  EXPECT_NE(outcome.err.find("missing.wav: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("b.wav: "), std::string::npos) << outcome.err;
}

TEST(TranscribeInputs, ATruncatedFileIsTranscribedWithANotice) {
  const Bench bench;
  const std::string whole = read_bytes(source_path("tests/golden/whisper/clips.wav"));
  write_file(bench.path("cut.wav"), whole.substr(0, 44 + 2 * 32000));
  const Outcome outcome = bench.run({"-f", "json", bench.path("cut.wav")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(outcome.out).at("duration").get<double>(), 2.0);
  EXPECT_EQ(outcome.err.rfind("transcribe: " + bench.path("cut.wav") + ": ", 0), 0u) << outcome.err;
  EXPECT_EQ(bench.run({"-f", "json", "--quiet", bench.path("cut.wav")}).err, "");
}

TEST(TranscribeInputs, SamplesThatAreNoNumbersAreReported) {
  const Bench bench;
  std::vector<float> samples = noise(32000, 0.1, 1);
  for (size_t i = 100; i < samples.size(); i += 1000) {
    samples[i] = i % 2000 == 100 ? std::numeric_limits<float>::quiet_NaN()
                                 : -std::numeric_limits<float>::infinity();
  }
  const std::string bytes = f32le(samples);
  write_file(bench.path("nan.wav"),
             wav_header(16000, 1, 32, static_cast<uint32_t>(bytes.size()), 3) + bytes);
  const Outcome outcome = bench.run({"-f", "json", "--vad", "off", bench.path("nan.wav")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("nan.wav: "), std::string::npos) << outcome.err;
  EXPECT_TRUE(nlohmann::json::accept(outcome.out)) << outcome.out;
}

TEST(TranscribeInputs, FoldersAreSearchedForAudio) {
  const Bench bench;
  bench.clip("in/b.wav");
  bench.clip("in/sub/deeper/a.WAV");
  bench.clip("in/.hidden/x.wav");
  bench.clip("in/._b.wav");
  write_file(bench.path("in/notes.txt"), "no audio");
  const Outcome outcome = bench.run({"-o", bench.path("out"), "-f", "txt,json", bench.path("in")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(bench.files("out"),
            (std::vector<std::string>{"b.json", "b.txt", "sub/deeper/a.json", "sub/deeper/a.txt"}));
  const auto json = nlohmann::json::parse(read_bytes(bench.path("out/sub/deeper/a.json")));
  EXPECT_EQ(json.at("file"), bench.path("in/sub/deeper/a.WAV"));
}

TEST(TranscribeInputs, TwoForOneOutputAreRefusedBeforeAnyWork) {
  const Bench bench;
  bench.clip("x/a.wav");
  bench.clip("y/a.wav");
  bench.clip("z/talk.txt");
  const Outcome same = bench.run({"-o", bench.path("out"), bench.path("x/a.wav"), bench.path("y")});
  EXPECT_EQ(same.code, 2);
  EXPECT_NE(same.err.find("out/a.txt"), std::string::npos) << same.err;
  EXPECT_FALSE(bench.exists("out"));
  const Outcome itself = bench.run({"-o", bench.path("z"), bench.path("z/talk.txt")});
  EXPECT_EQ(itself.code, 2);
  EXPECT_NE(itself.err.find("overwritten"), std::string::npos) << itself.err;
}

TEST(TranscribeInputs, StandardInputIsReadWithAndWithoutAHeader) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const std::string bytes = read_bytes(clip);
  const std::string expected = text_of(bench.run({"-f", "json", clip}));
  EXPECT_FALSE(expected.empty());
  const Outcome wav = bench.run({"-f", "json", "-"}, bytes);
  EXPECT_EQ(wav.code, 0) << wav.err;
  EXPECT_EQ(text_of(wav), expected);
  EXPECT_EQ(nlohmann::json::parse(wav.out).at("file"), "-");
  const Outcome raw = bench.run({"-f", "json", "--raw", "s16le", "-"}, bytes.substr(44));
  EXPECT_EQ(text_of(raw), expected);
  const Outcome named = bench.run({"-o", bench.path("out"), "-"}, bytes);
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(bench.files("out"), std::vector<std::string>{"stdin.txt"});
  EXPECT_EQ(bench.run({"-"}, "").code, 1);
}

TEST(TranscribeInputs, RawRateAndChannelsAreHonoured) {
  const Bench bench;
  const std::string bytes = f32le(noise(2 * 8000 * 2, 0.1, 2));  // 2 s, 2 channels, 8 kHz
  const Outcome outcome = bench.run(
      {"-f", "json", "--raw", "f32le", "--raw-rate", "8000", "--raw-channels", "2", "-"}, bytes);
  EXPECT_NEAR(nlohmann::json::parse(outcome.out).at("duration").get<double>(), 2, 0.001);
}

TEST(TranscribeInputs, OffsetAndDurationCutTheFileAndKeepItsTimes) {
  const Bench bench;
  const Outcome outcome =
      bench.run({"-f", "json", "--offset", "00:00:01.5", "--duration", "2", bench.clip("a.wav")});
  const auto json = nlohmann::json::parse(outcome.out);
  for (const auto& segment : json.at("segments")) {
    EXPECT_GE(segment.at("start").get<double>(), 1.5);
    EXPECT_LE(segment.at("end").get<double>(), 3.5);
  }
  EXPECT_FALSE(json.at("segments").empty());
  const Outcome past = bench.run({"--offset", "1:00", bench.path("a.wav")});
  EXPECT_EQ(past.code, 0);
  EXPECT_EQ(past.out, "");
  EXPECT_NE(past.err.find("--offset"), std::string::npos) << past.err;
}

TEST(TranscribeInputs, AnHourOfNothingIsSkippedAtOnce) {
  const Bench bench;
  constexpr uint32_t kBytes = 3600u * 16000 * 2;
  write_file(bench.path("hour.wav"), wav_header(16000, 1, 16, kBytes));
  std::filesystem::resize_file(bench.path("hour.wav"), 44 + kBytes);  // sparse
  const Outcome outcome = bench.run({"-l", "en", "-f", "json", bench.path("hour.wav")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("duration"), 3600.0);
  EXPECT_TRUE(json.at("segments").empty());
  EXPECT_EQ(
      json.at("rejected"),
      nlohmann::json::parse(R"([{"start": 0.0, "end": 3600.0, "text": "", "reason": "vad"}])"));
}

// Peak resident bytes of transcribing `minutes` of noise, all of which the model is made to hear.
int64_t memory_for(const Bench& bench, int minutes) {
  const std::string second = [] {
    std::string bytes;
    for (const float sample : noise(8000, 30, 3))
      bytes.push_back(static_cast<char>(std::clamp(sample + 128.f, 0.f, 255.f)));
    return bytes;
  }();
  std::string samples;
  for (int i = 0; i < minutes * 60; ++i) samples += second;
  const std::string file = bench.path(std::to_string(minutes) + ".wav");
  write_file(file, wav_header(8000, 1, 8, static_cast<uint32_t>(samples.size())) + samples);
  const Outcome outcome = bench.run({"--vad", "off", "-l", "en", "--batch", "4", "-f", "json", "-o",
                                     bench.path("out"), "--timings", bench.path("timings"), file});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto timings = nlohmann::json::parse(read_bytes(bench.path("timings")));
  EXPECT_DOUBLE_EQ(timings.at("audio_seconds").get<double>(), 60.0 * minutes);
  return timings.at("peak_rss_bytes").get<int64_t>();
}

TEST(TranscribeInputs, MemoryDoesNotGrowWithTheFile) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer keeps freed memory";
#endif
  const Bench bench;
  // 40 minutes more; at this rate three hours would add 72 MB.
  EXPECT_LT(memory_for(bench, 44) - memory_for(bench, 4), int64_t{16} << 20);
}

TEST(TranscribeInputs, AJobsFileNamesInputsLineByLine) {
  const Bench bench;
  write_file(bench.path("jobs"),
             bench.clip("b.wav") + "\r\n\n" + bench.clip("a.wav") + "\nmissing");
  const Outcome outcome = bench.run({"-f", "jsonl", "--jobs-file", bench.path("jobs")});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("missing: "), std::string::npos) << outcome.err;
  const size_t end = outcome.out.find('\n');
  EXPECT_EQ(nlohmann::json::parse(outcome.out.substr(0, end)).at("file"), bench.path("b.wav"));
  EXPECT_EQ(nlohmann::json::parse(outcome.out.substr(end + 1)).at("file"), bench.path("a.wav"));
}

// Each result is out before the next line is needed: any cluster engine can feed the program.
TEST(TranscribeInputs, AFilterAnswersEachLineAsItComes) {
  const Bench bench;
  PipeEnds in;
  PipeEnds out;
  PipeEnds err;
  Process filter(transcribe_command(bench.with({"-f", "jsonl", "--jobs-file", "-"})),
                 {.in = in.read_end, .out = out.write_end, .err = err.write_end});
  out.close_write();
  err.close_write();
  for (const std::string name : {"a.wav", "missing.wav", "b.wav"}) {
    const std::string path = name == "missing.wav" ? bench.path(name) : bench.clip(name);
    const std::string line = path + "\n";
    ASSERT_EQ(::write(in.write_end, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    if (name == "missing.wav") {
      EXPECT_EQ(read_line(err.read_end), "transcribe: " + path + ": no such file or folder");
    } else {
      EXPECT_EQ(nlohmann::json::parse(read_line(out.read_end)).at("file"), path);
    }
  }
  in.close_write();
  EXPECT_EQ(filter.wait(), 1);
}

TEST(TranscribeInputs, TheLargestInstalledModelIsTheDefault) {
  const TemporaryFolder home;
  const std::filesystem::path installed = home.path() / "parley" / "models";
  const std::vector<std::string> environment = {"XDG_DATA_HOME=" + home.path().string()};
  const auto model_of = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-l", "en", "-f", "json", "--beam", "1", "--temperature",
                                       "0", source_path("tests/golden/whisper/clips.wav")});
    const Outcome outcome = transcribe(arguments, "", environment);
    return outcome.code == 0 ? nlohmann::json::parse(outcome.out).at("model").get<std::string>()
                             : std::to_string(outcome.code);
  };
  const auto weights = [&](const char* name) {
    return std::filesystem::file_size(installed / name / "encoder" / "weights.safetensors");
  };
  EXPECT_EQ(model_of({}), "parley-mini-en");  // embedded
  stage::convert(source_path("tests/golden/whisper/multilingual-80"), installed / "a-small");
  EXPECT_EQ(model_of({}), "multilingual-80");
  stage::convert(source_path("tests/golden/whisper/english-128"), installed / "b-large");
  ASSERT_LT(weights("a-small"), weights("b-large"));
  std::filesystem::create_directories(installed / "damaged");
  write_file(installed / "damaged" / "model.json", "{");
  EXPECT_EQ(model_of({}), "english-128");
  EXPECT_EQ(model_of({"-m", "a-small"}), "multilingual-80");
  EXPECT_EQ(model_of({"-m", "damaged"}), "3");
  EXPECT_EQ(model_of({"-m", "../models/a-small"}), "3");
}

// Real words from a real checkpoint.
TEST(TranscribeInputs, KnownCommandsAreUnderstood) {
  const auto checkpoint = shared_path("models/pilot-en");
  const auto commands = shared_path("corpus/commands");
  if (!checkpoint || !commands) GTEST_SKIP() << kNoShared;
  const TemporaryFolder folder;
  const std::string model = (folder.path() / "model").string();
  stage::convert(*checkpoint, model);
  const Outcome outcome =
      transcribe({"-m", model, *commands / "home_001.flac", *commands / "home_003.flac"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "What is the weather in Chicago?\nCall Helen tomorrow.\n");
  const Outcome sequential =
      transcribe({"-m", model, "--strategy", "sequential", "--precision", "f32", "--temperature",
                  "0", (*commands / "home_003.flac").string()});
  EXPECT_EQ(sequential.out, "Call Helen tomorrow.\n") << sequential.err;
}

}  // namespace
}  // namespace parley::test
