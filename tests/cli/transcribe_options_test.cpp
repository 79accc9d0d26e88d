// What the command line of transcribe promises before any work is done.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "parley/tests/cli/process.h"

namespace parley::test {
namespace {

TEST(TranscribeOptions, HelpFitsOnAScreen) {
  const Outcome help = transcribe({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  std::istringstream lines(help.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_LE(count, 60);
  for (const char* option : {"-m,--model", "-f,--format", "--resume", "--timings", "--strategy"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
}

TEST(TranscribeOptions, VersionIsASingleLine) {
  const Outcome version = transcribe({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("transcribe ", 0), 0u);
  EXPECT_EQ(std::count(version.out.begin(), version.out.end(), '\n'), 1);
}

TEST(TranscribeOptions, LanguagesAreListed) {
  const Outcome languages = transcribe({"--list-languages"});
  EXPECT_EQ(languages.code, 0);
  EXPECT_NE(languages.out.find("\nde   german\n"), std::string::npos);
  EXPECT_EQ(std::count(languages.out.begin(), languages.out.end(), '\n'), 100);
}

// Wrong usage ends with code 2 and one line that names what is wrong, and writes nothing.
void expect_refused(const std::vector<std::string>& arguments, const std::string& named) {
  const Outcome outcome = transcribe(arguments);
  std::string shown;
  for (const std::string& argument : arguments) shown += argument + " ";
  EXPECT_EQ(outcome.code, 2) << shown << outcome.err;
  EXPECT_EQ(outcome.out, "") << shown;
  EXPECT_EQ(outcome.err.rfind("transcribe: ", 0), 0u) << shown << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << shown << outcome.err;
  EXPECT_NE(outcome.err.find(named), std::string::npos) << shown << outcome.err;
}

TEST(TranscribeOptions, WhatDoesNotGoWithLiveIsRefused) {
  expect_refused({"a.wav", "--pace", "realtime"}, "--pace needs --live");
  expect_refused({"a.wav", "--overflow", "block"}, "--overflow needs --live");
  expect_refused({"--live", "a.wav", "--pace", "slow"}, "--pace");
  expect_refused({"--live", "a.wav", "--overflow", "some"}, "--overflow");
  expect_refused({"--live", "a.wav", "--front-end", "some"}, "--front-end");
  expect_refused({"--live", "a.wav", "b.wav"}, "--live takes one file");
  expect_refused({"--live"}, "--live takes one file");
  expect_refused({"--live", "a.wav", "-o", "out"}, "--output is not for live");
  expect_refused({"--live", "a.wav", "-f", "srt"}, "txt or jsonl");
  expect_refused({"--live", "a.wav", "--strategy", "sequential"}, "live needs windows");
  expect_refused({"--live", "a.wav", "--timings", "-"}, "--timings -");
  expect_refused({"a.wav", "--mic"}, "--mic takes no input");
  expect_refused({"--mic", "hw:0", "--offset", "3"}, "--offset is for files");
}

TEST(TranscribeOptions, ValuesAreChecked) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--beam", "0"},
      {"--beam", "33"},
      {"--beam", "many"},
      {"--beam", "99999999999999999999"},
      {"--best-of", "-1"},
      {"--patience", "nan"},
      {"--length-penalty", "1.5"},
      {"--temperature", "0,x"},
      {"--temperature", ""},
      {"--temperature", "0.4,0.2"},
      {"--temperature", "inf"},
      {"--seed", "-1"},
      {"--prompt", "caf\xE9"},
      {"--hotwords", "caf\xE9"},
      {"--hotword-boost", "-1"},
      {"--no-speech-threshold", "2"},
      {"--logprob-threshold", "1"},
      {"--compression-ratio-threshold", "-1"},
      {"--precision", "f64"},
      {"--threads", "0"},
      {"--batch", "0"},
      {"--batch", "65"},
      {"--offset", "-1"},
      {"--offset", "1:2:3:4"},
      {"--offset", "1:75"},
      {"--duration", "0"},
      {"--duration", "long"},
      {"--endpoint-silence", "0"},
      {"--strategy", "both"},
      {"--vad", "energy"},
      {"--task", "summarize"},
      {"--max-line-width", "0"},
      {"--max-line-count", "0"},
      {"--min-cue", "0"},
      {"--max-cue", "nan"},
      {"--hallucination-silence-threshold", "-1"},
      {"--raw", "mp3"},
  };
  for (const auto& arguments : wrong) {
    expect_refused({arguments[0], arguments[1], "a.wav"}, arguments[0]);
  }
  expect_refused({"-l", "tlh", "a.wav"}, "--list-languages");
  expect_refused({"-l", "de,tlh", "a.wav"}, "--list-languages");
  expect_refused({"-l", "de,", "a.wav"}, "--list-languages");
  expect_refused({"-f", "doc", "a.wav"}, "unknown format 'doc'");
  expect_refused({"--nonsense", "a.wav"}, "--nonsense");
}

TEST(TranscribeOptions, WhatCannotBeHonouredTogetherIsRefused) {
  expect_refused({}, "no input");
  expect_refused({"a.wav", "-f", "txt,srt"}, "-o DIR");
  expect_refused({"a.wav", "--resume"}, "--resume");
  expect_refused({"a.wav", "--max-line-width", "40"}, "--max-line-width");
  expect_refused({"a.wav", "--max-line-count", "2", "-f", "json"}, "--max-line-count");
  expect_refused({"a.wav", "-f", "srt", "--min-cue", "5", "--max-cue", "2"}, "--min-cue");
  expect_refused({"a.wav", "--word-timestamps"}, "--word-timestamps");
  expect_refused({"a.wav", "--hotword-boost", "2"}, "--hotwords");
  expect_refused({"a.wav", "--hotwords", "x", "--temperature", "0.2"}, "temperature 0");
  expect_refused({"a.wav", "--raw", "s16le"}, "--raw");
  expect_refused({"-", "--raw-rate", "8000"}, "--raw");
  expect_refused({"-", "--jobs-file", "-"}, "standard input");
  expect_refused({"-", "-"}, "standard input");
  expect_refused({"a.wav", "--quiet", "--verbose"}, "--verbose");
  expect_refused({"a.wav", "--condition-on-previous-text"}, "--condition-on-previous-text");
  expect_refused({"a.wav", "--strategy", "sequential", "--batch", "4"}, "--batch");
  expect_refused({"a.wav", "--strategy", "sequential", "--endpoint-silence", "1"},
                 "--endpoint-silence");
  expect_refused({"a.wav", "--vad", "off", "--endpoint-silence", "1"}, "--endpoint-silence");
  expect_refused({"a.wav", "--beam", "1", "--patience", "2"}, "--patience");
  expect_refused({"a.wav", "--temperature", "0", "--best-of", "3"}, "--best-of");
  expect_refused({"a.wav", "--temperature", "0.5", "--beam", "3"}, "--beam");
  expect_refused({"a.wav", "--jobs-file", "/nonexistent/jobs"}, "--jobs-file");
}

TEST(TranscribeOptions, AModelThatCannotBeLoadedIsCode3) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  for (const std::string& model : {std::string("no-such-model"), bench.path(""), clip}) {
    const Outcome outcome = transcribe({"-m", model, clip});
    EXPECT_EQ(outcome.code, 3) << model;
    EXPECT_NE(outcome.err.find("parley convert"), std::string::npos) << outcome.err;
  }
}

TEST(TranscribeOptions, AnEnglishOnlyModelKnowsNoOtherLanguage) {
  const Bench bench("english-128");
  const std::string clip = bench.clip("a.wav");
  const Outcome german = bench.run({"-l", "de", clip});
  EXPECT_EQ(german.code, 2);
  EXPECT_NE(german.err.find("English only"), std::string::npos) << german.err;
  const Outcome translate = bench.run({"--task", "translate", clip});
  EXPECT_EQ(translate.code, 2);
  EXPECT_NE(translate.err.find("English only"), std::string::npos) << translate.err;
  EXPECT_EQ(bench.run({"-l", "English", clip}).code, 0);
  EXPECT_EQ(bench.run({"-l", "auto", clip}).code, 0);
}

TEST(TranscribeOptions, WithoutTheDetectorThatComesWithItWebrtcsIsTaken) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  std::vector<std::string> command = transcribe_command(bench.with({"-l", "en", clip}));
  const std::vector<std::string> empty_store = {"XDG_DATA_HOME=" + bench.path("data")};
  const std::string alone = bench.path("transcribe");  // no data beside it
  std::filesystem::copy_file(PARLEY_TRANSCRIBE, alone);
  command.at(0) = alone;
  const Outcome outcome = run_to_end(command, "", empty_store);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("WebRTC"), std::string::npos) << outcome.err;
  command.insert(command.end(), {"--vad", "silero"});
  const Outcome refused = run_to_end(command, "", empty_store);
  EXPECT_EQ(refused.code, 3);
  EXPECT_NE(refused.err.find("--vad webrtc"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace parley::test
