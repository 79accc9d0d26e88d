// The models that come with the sources, on the samples that come with them.
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

constexpr const char* kModel = "data/models/parley-mini-en";
constexpr const char* kVoice = "data/models/parley-mini-voice";

std::string model() { return source_path(kModel).string(); }
std::string sample(const std::string& name) { return source_path("data/audio/" + name).string(); }

// Lower case, without punctuation.
std::vector<std::string> words(std::string text) {
  for (char& c : text) c = std::isalpha(static_cast<unsigned char>(c)) || c == '\'' ? c : ' ';
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

// What data/audio/samples.tsv says of the file.
std::vector<std::string> said_in(const std::string& name) {
  std::istringstream table(read_bytes(source_path("data/audio/samples.tsv")));
  for (std::string line; std::getline(table, line);) {
    if (line.starts_with(name + "\t")) return words(line.substr(line.rfind('\t')));
  }
  ADD_FAILURE() << "samples.tsv does not list " << name;
  return {};
}

std::vector<std::string> heard_in(const std::string& file) {
  const Outcome outcome = transcribe({"-m", model(), "--precision", "f32", "-f", "json", file});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return words(nlohmann::json::parse(outcome.out).at("text").get<std::string>());
}

// Word for word: several voices, 44.1 kHz stereo, a fan, the embedded voice. On the telephone it
// mistakes a name.
TEST(EmbeddedModel, HearsTheSamples) {
  for (const char* name :
       {"sample.flac", "speakers.opus", "stereo.ogg", "noisy.opus", "voice.flac"}) {
    EXPECT_EQ(heard_in(sample(name)), said_in(name)) << name;
  }
}

// It was trained without previous text: with a long prompt it used to say little or nothing.
TEST(EmbeddedModel, LeavesOutAPromptAndSaysSo) {
  std::string prompt;
  for (int i = 0; i < 90; ++i) prompt += "previously ";
  const std::string file = sample("sample.flac");
  for (const std::string strategy : {"windows", "sequential"}) {
    const Outcome outcome = transcribe(
        {"-m", model(), "--precision", "f32", "--strategy", strategy, "--prompt", prompt, file});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(words(outcome.out), said_in("sample.flac"));
    EXPECT_NE(outcome.err.find("the prompt is left out"), std::string::npos) << outcome.err;
  }
  const Outcome live =
      transcribe({"-m", model(), "--precision", "f32", "--live", "--prompt", prompt, file});
  EXPECT_NE(live.err.find("the prompt is left out"), std::string::npos) << live.err;
}

TEST(EmbeddedModel, HearsNothingInSilenceAndNoise) {
  const TemporaryFolder folder;
  for (const double level : {0.0, 0.05}) {
    const std::string bytes = s16le(noise(6 * 16000, level, 1));
    const std::filesystem::path file = folder.path() / "noise.wav";
    write_file(file, wav_header(16000, 1, 16, static_cast<uint32_t>(bytes.size())) + bytes);
    EXPECT_EQ(heard_in(file.string()), std::vector<std::string>()) << "noise of " << level;
  }
}

// The programs look for data/models beside their folder, which a build folder elsewhere has not.
bool built_in_the_sources() {
  const std::filesystem::path beside = std::filesystem::path(PARLEY_TRANSCRIBE).parent_path();
  return std::filesystem::exists(beside / ".." / kModel);
}

// What a program prints on the terminal that is its standard error.
std::string told_on_a_terminal(const std::vector<std::string>& command,
                               const std::vector<std::string>& environment) {
  int terminal = -1, program = -1;
  if (::openpty(&terminal, &program, nullptr, nullptr, nullptr) != 0) return "no terminal";
  Process process(command, {.err = program}, environment);
  EXPECT_EQ(process.wait(), 0);
  ::close(program);
  std::string told;
  char buffer[4096];
  for (ssize_t count = 0; (count = ::read(terminal, buffer, sizeof buffer)) > 0;)
    told.append(buffer, static_cast<size_t>(count));
  ::close(terminal);
  return told;
}

TEST(EmbeddedModel, IsRecommendedAgainstOnATerminalOnceADay) {
  if (!built_in_the_sources()) GTEST_SKIP() << "built outside the sources";
  const TemporaryFolder folder;
  const std::vector<std::string> hear = {PARLEY_TRANSCRIBE, "--duration", "1",
                                         sample("sample.flac")};
  const std::vector<std::string> say = {PARLEY_SPEAK, "-o", folder.path() / "said.wav",
                                        "Good morning."};
  const std::vector<std::string> environment = {"XDG_CACHE_HOME=" +
                                                (folder.path() / "cache").string()};
  if (told_on_a_terminal({"/bin/true"}, {}) == "no terminal") GTEST_SKIP() << "no terminals here";
  EXPECT_NE(told_on_a_terminal(hear, environment).find("parley-mini-en is small"),
            std::string::npos);
  EXPECT_EQ(told_on_a_terminal(hear, environment).find("is small"), std::string::npos);
  EXPECT_NE(told_on_a_terminal(say, environment).find("parley-mini-voice is small"),
            std::string::npos);
  EXPECT_EQ(told_on_a_terminal(say, environment), "");
  // Yesterday, or by a clock that was wrong.
  const std::filesystem::path stamp = folder.path() / "cache" / "parley" / "speak-advice";
  for (const int hours : {-25, 25}) {
    std::filesystem::last_write_time(
        stamp, std::filesystem::file_time_type::clock::now() + std::chrono::hours(hours));
    EXPECT_NE(told_on_a_terminal(say, environment).find("is small"), std::string::npos) << hours;
  }
  // Nothing can be remembered: a file is where the folder would be.
  write_file(folder.path() / "file", "");
  const std::vector<std::string> nowhere = {"XDG_CACHE_HOME=" + (folder.path() / "file").string()};
  for (int i = 0; i < 2; ++i) {
    const std::string told = told_on_a_terminal(say, nowhere);
    EXPECT_NE(told.find("is small"), std::string::npos);
    EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  }
}

TEST(EmbeddedModel, IsTheDefault) {
  if (!built_in_the_sources()) GTEST_SKIP() << "built outside the sources";
  const Outcome outcome = transcribe({sample("sample.flac")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(words(outcome.out), said_in("sample.flac"));
  EXPECT_EQ(outcome.err.find("is small"), std::string::npos) << outcome.err;
}

Outcome speak(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), PARLEY_SPEAK);
  return run_to_end(arguments);
}

TEST(EmbeddedVoice, IsUnderstoodByTheEmbeddedModel) {
  const TemporaryFolder folder;
  const std::string wav = folder.path() / "said.wav";
  for (const char* text : {"What is the weather in Chicago?", "Turn off the kitchen light."}) {
    const Outcome said =
        speak({"-m", source_path(kVoice), "--precision", "f32", "-o", wav, "--timings", "-", text});
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.err, "");
    const auto facts = nlohmann::json::parse(said.out);
    EXPECT_EQ(facts.at("retries"), 0);  // attention neither leapt nor stayed
    EXPECT_EQ(heard_in(wav), words(text));
  }
}

TEST(EmbeddedVoice, SpeaksAsLongAsASpeakerWould) {
  const TemporaryFolder folder;
  const std::string text =
      "The old house stood at the end of a narrow street, and nobody had lived there for years.";
  const Outcome said =
      speak({"-m", source_path(kVoice), "-o", folder.path() / "said.wav", "--timings", "-", text});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.err, "");
  const double seconds = nlohmann::json::parse(said.out).at("audio_seconds");
  const double letters_a_second = static_cast<double>(text.size()) / seconds;
  EXPECT_GT(letters_a_second, 10);  // its teacher: 16
  EXPECT_LT(letters_a_second, 20);
}

// Above what it learned it babbled: 38 s for these 227 letters. Whisper hears every word of what is
// said now; here only the time it takes is looked at.
TEST(EmbeddedVoice, SaysLongSentencesInPieces) {
  const TemporaryFolder folder;
  const std::string clauses =
      "The old lighthouse keeper walked slowly along the stony beach every single morning before "
      "sunrise, carrying a small brass lantern in one hand and a heavy bucket of oil in the other, "
      "and he never once complained about the wind.";
  const std::string no_clauses =
      "the men who had come down from the hills in the early part of the year were now working "
      "near "
      "the old bridge that their fathers had built across the river long before the new road came "
      "through the valley and brought so many people from the town";
  for (const std::string& text : {clauses, no_clauses}) {
    const Outcome said = speak(
        {"-m", source_path(kVoice), "-o", folder.path() / "said.wav", "--timings", "-", text});
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.err, "");
    const double seconds = nlohmann::json::parse(said.out).at("audio_seconds");
    EXPECT_GT(seconds, 10) << text;
    EXPECT_LT(seconds, 20) << text;
  }
}

// Without a full stop "Hello" was said twice.
TEST(EmbeddedVoice, SaysAWordOnce) {
  const TemporaryFolder folder;
  for (const char* text : {"Hello", "Kitchen", "OK"}) {
    for (const char* seed : {"0", "2", "4", "5"}) {
      const Outcome said = speak({"-m", source_path(kVoice), "--seed", seed, "-o",
                                  folder.path() / "said.wav", "--timings", "-", text});
      ASSERT_EQ(said.code, 0) << said.err;
      EXPECT_LT(nlohmann::json::parse(said.out).at("audio_seconds").get<double>(), 0.8)
          << text << " with seed " << seed;
    }
  }
}

TEST(EmbeddedVoice, IsTheDefault) {
  if (!built_in_the_sources()) GTEST_SKIP() << "built outside the sources";
  const TemporaryFolder folder;
  const std::string wav = folder.path() / "said.wav";
  const Outcome said = speak({"-o", wav, "Good morning."});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(said.err, "");
}

}  // namespace
}  // namespace parley::test
