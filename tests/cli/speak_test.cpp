#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "parley/convert/convert.h"
#include "parley/dsp/audio_reader.h"
#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

// A folder with a tiny random voice, and room for what a test makes.
class Voice {
 public:
  Voice() {
    stage::convert(source_path("tests/golden/speecht5/small"), path("voice"),
                   {.vocoder = source_path("tests/golden/hifigan/speecht5"),
                    .voices = source_path("tests/golden/speecht5/small/voices")});
    speak_longer(path("voice"));
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  Arguments command(const Arguments& more) const {
    Arguments all = {PARLEY_SPEAK, "-m", path("voice"), "--threads", "2", "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome run(const Arguments& more, const std::string& input = "") const {
    return run_to_end(command(more), input);
  }
  // Names in the folder besides the model's.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      if (entry.path().filename() != "voice") names.push_back(entry.path().filename());
    }
    return names;
  }

 private:
  TemporaryFolder folder_;
};

const Voice& voice() {
  static const Voice instance;
  return instance;
}

int64_t frames_of(const std::string& path) {
  dsp::AudioReader reader = dsp::AudioReader::open(path);
  return static_cast<int64_t>(read_all(reader).size());
}

TEST(Speak, WritesEveryFormatByItsSuffix) {
  const Voice v;
  const Outcome raw = v.run({"--raw", "Go."});
  ASSERT_EQ(raw.code, 0) << raw.err;
  const auto samples = static_cast<int64_t>(raw.out.size()) / 2;
  EXPECT_GT(samples, 1000);
  // FFmpeg hears the last block of libsndfile's Vorbis not to its end.
  const std::vector<std::pair<std::string, int64_t>> formats = {
      {"a.wav", 0}, {"a.flac", 0}, {"a.OGG", 300}, {"a.opus", 4000}, {"a.mp3", 4000}};
  for (const auto& [name, slack] : formats) {
    const Outcome outcome = v.run({"-o", v.path(name), "Go."});
    ASSERT_EQ(outcome.code, 0) << name << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NEAR(frames_of(v.path(name)), samples, slack) << name;
  }
  EXPECT_EQ(v.files().size(), formats.size());  // nothing temporary stays
}

TEST(Speak, StandardOutputIsWavOrBareSamples) {
  const Outcome wav = voice().run({"-o", "-", "Go."});
  const Outcome piped = voice().run({"Go."});  // no -o, and no terminal
  const Outcome raw = voice().run({"--raw", "Go."});
  ASSERT_EQ(wav.code, 0) << wav.err;
  EXPECT_EQ(piped.out, wav.out);
  ASSERT_GT(wav.out.size(), 44u);
  EXPECT_EQ(wav.out.substr(0, 4) + wav.out.substr(8, 8), "RIFFWAVEfmt ");
  uint32_t rate = 0;
  std::memcpy(&rate, wav.out.data() + 24, sizeof rate);
  EXPECT_EQ(rate, 16000u);
  EXPECT_EQ(wav.out.substr(44), raw.out);
}

TEST(Speak, TextComesFromTheCommandLineAFileOrStandardInput) {
  const Voice v;
  const std::string text = "Go. Two of us!";
  std::ofstream(v.path("text.txt")) << text << "\n";
  const std::string expected = v.run({"--raw", text}).out;
  EXPECT_EQ(v.run({"--raw", "-f", v.path("text.txt")}).out, expected);
  EXPECT_EQ(v.run({"--raw", "-"}, text + "\n").out, expected);
  EXPECT_EQ(v.run({"--raw", "-f", "-"}, text).out, expected);
  EXPECT_FALSE(expected.empty());
}

TEST(Speak, SeedVoiceSpeedPauseAndRateAreHonoured) {
  const auto out = [](const Arguments& more) {
    Arguments arguments = {"--raw", "Go. Go."};
    arguments.insert(arguments.begin(), more.begin(), more.end());
    const Outcome outcome = voice().run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string plain = out({});
  EXPECT_EQ(out({"--seed", "0"}), plain);
  EXPECT_NE(out({"--seed", "1"}), plain);
  EXPECT_EQ(out({"--voice", "anna"}), plain);
  EXPECT_NE(out({"--voice", "bert"}), plain);
  EXPECT_NEAR(static_cast<double>(out({"--sample-rate", "8000"}).size()),
              static_cast<double>(plain.size()) / 2, 4);
  EXPECT_LT(out({"--speed", "2"}).size(), plain.size() * 6 / 10 + 8000);
  EXPECT_EQ(out({"--sentence-pause", "1250"}).size() - plain.size(), 32000u);
  EXPECT_FALSE(out({"--precision", "f32"}).empty());
}

TEST(Speak, SsmlIsReadWhenAsked) {
  const Outcome good = voice().run({"--raw", "--ssml", "<speak>Go.<break time=\"1s\"/></speak>"});
  EXPECT_EQ(good.code, 0) << good.err;
  const Outcome bad = voice().run({"--raw", "--ssml", "<speak><audio src=\"x\"/></speak>"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("audio"), std::string::npos) << bad.err;
}

TEST(Speak, ListsVoices) {
  const Outcome outcome = voice().run({"--list-voices"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "anna\nbert\ncleo\n");
}

TEST(Speak, TimingsAreOneObject) {
  const Voice v;
  const Outcome outcome = v.run({"--timings", "-", "-o", v.path("a.wav"), "Go. Go."});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto timings = nlohmann::json::parse(outcome.out);
  for (const char* key : {"wall_seconds", "audio_seconds", "real_time_factor", "peak_rss_bytes",
                          "time_to_first_audio_ms", "tokens_per_second", "load_seconds"}) {
    EXPECT_GT(timings.at(key).get<double>(), 0) << key;
  }
  for (const char* stage : {"text_encoder", "mel_decoder", "vocoder"})
    EXPECT_GT(timings.at("stages").at(stage).get<double>(), 0) << stage;
  EXPECT_EQ(timings.at("sentences"), 2);
  EXPECT_EQ(timings.at("threads"), 2);
  EXPECT_LE(timings.at("time_to_first_audio_ms").get<double>(),
            timings.at("wall_seconds").get<double>() * 1000);
}

TEST(Speak, WrongUsageIsRefusedWithCode2) {
  const std::string wav = voice().path("a.wav");
  const std::vector<std::pair<Arguments, std::string>> wrong = {
      {{}, "nothing to say"},
      {{""}, "empty"},
      {{" \t\n"}, "empty"},
      {{"Go.", "-f", "x"}, "one of them"},
      {{"-o", voice().path("a.aiff"), "Go."}, ".wav"},
      {{"-o", voice().path("noext"), "Go."}, ".wav"},
      {{"-o", wav, "--raw", "Go."}, "exclude"},
      {{"-o", wav, "--play", "Go."}, "exclude"},
      {{"--raw", "--timings", "-", "Go."}, "--timings"},
      {{"-o", voice().path("a.opus"), "--sample-rate", "22050", "Go."}, "22050"},
      {{"-o", wav, "--speed", "5", "Go."}, "--speed"},
      {{"-o", wav, "--speed", "fast", "Go."}, "--speed"},
      {{"-o", wav, "--voice", "nobody", "Go."}, "nobody"},
      {{"-o", wav, "--precision", "int8", "Go."}, "--precision"},
      {{"-o", wav, "--louder", "Go."}, "--louder"},
  };
  for (const auto& [arguments, part] : wrong) {
    const Outcome outcome = voice().run(arguments);
    EXPECT_EQ(outcome.code, 2) << part << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_FALSE(fs::exists(wav));
}

TEST(Speak, WhatCannotBeSpokenHasCode1AndLeavesNoFile) {
  const Voice v;
  std::ofstream(v.path("empty.txt")).close();
  std::ofstream(v.path("old.wav")) << "precious";
  const std::string wav = v.path("new.wav");
  const std::vector<Arguments> failures = {
      {"-o", wav, "-f", v.path("empty.txt")},
      {"-o", wav, "-f", v.path("missing.txt")},
      {"-o", wav, "-f", v.path("voice")},  // a folder
      {"-o", wav, "-"},                    // standard input is empty
      {"-o", v.path("no/such/folder/a.wav"), "Go."},
      {"-o", wav, "--ssml", "<speak>"},
      {"-o", v.path("old.wav"), "--ssml", "<speak>"},
  };
  for (const Arguments& arguments : failures) {
    const Outcome outcome = v.run(arguments);
    EXPECT_EQ(outcome.code, 1) << arguments[1] << outcome.err;
    EXPECT_EQ(outcome.err.rfind("speak: ", 0), 0u) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(wav));
  EXPECT_EQ(read_bytes(v.path("old.wav")), "precious");
  EXPECT_EQ(v.files().size(), 2u);
}

TEST(Speak, NoSoundDeviceIsOneClearLine) {
  const Outcome outcome = voice().run({"--play", "Go."});
  if (outcome.code == 0) GTEST_SKIP() << "this machine has a sound device";
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("sound device"), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

TEST(Speak, ModelsThatCannotBeLoadedHaveCode3) {
  const Voice v;
  stage::convert(source_path("tests/golden/whisper/english-128"), v.path("stt"));
  const auto with_model = [&](const std::string& model) {
    return run_to_end({PARLEY_SPEAK, "-m", model, "--raw", "Go."}).code;
  };
  EXPECT_EQ(with_model(v.path("nothing")), 3);
  EXPECT_EQ(with_model(v.path("stt")), 3);
  fs::copy_file(PARLEY_SPEAK, v.path("speak"));  // where no voice lies beside it
  EXPECT_EQ(run_to_end({v.path("speak"), "--raw", "Go."}).code, 3);
  for (const char* stage : {"text_encoder", "mel_decoder", "vocoder", "voices"}) {
    const fs::path damaged = v.path("damaged");
    fs::remove_all(damaged);
    fs::copy(v.path("voice"), damaged, fs::copy_options::recursive);
    const fs::path weights = damaged / stage / "weights.safetensors";
    fs::resize_file(weights, fs::file_size(weights) - 1);
    EXPECT_EQ(with_model(damaged), 3) << stage;
    fs::copy(v.path("voice") + "/" + stage + "/weights.safetensors", weights,
             fs::copy_options::overwrite_existing);
    std::ofstream(damaged / stage / "stage.json") << R"({"kind": "hifigan", "config": {}})";
    EXPECT_EQ(with_model(damaged), 3) << stage;
    fs::remove_all(damaged / stage);
    EXPECT_EQ(with_model(damaged), 3) << stage;
  }
}

TEST(Speak, WithoutAVocoderGriffinLimSpeaksAndSaysSo) {
  const Voice v;
  stage::convert(source_path("tests/golden/speecht5/small"), v.path("mute"),
                 {.voices = source_path("tests/golden/speecht5/small/voices")});
  const Outcome outcome = run_to_end({PARLEY_SPEAK, "-m", v.path("mute"), "--raw", "Go."});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GT(outcome.out.size(), 1000u);
  EXPECT_NE(outcome.err.find("has no vocoder"), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  const Outcome quiet = run_to_end({PARLEY_SPEAK, "-m", v.path("mute"), "--raw", "--quiet", "Go."});
  EXPECT_EQ(quiet.out, outcome.out);
  EXPECT_EQ(quiet.err, "");
}

// Whether there is text or not is told by its bytes.
TEST(Speak, OtherEncodingsAreReadAndOtherFilesRefused) {
  const Voice v;
  const auto said = [&](const std::string& bytes) {
    write_file(v.path("text"), bytes);
    return run_to_end({PARLEY_SPEAK, "-m", v.path("voice"), "--raw", "-f", v.path("text")});
  };
  const std::string expected = v.run({"--raw", "Go, café."}).out;
  const std::string utf16("\xFF\xFEG\0o\0,\0 \0c\0a\0f\0\xE9\0.\0", 20);
  EXPECT_EQ(said(utf16).out, expected);
  EXPECT_EQ(said(utf16).err.find("read as"), std::string::npos);
  const Outcome latin = said("Go, caf\xE9.");
  EXPECT_EQ(latin.out, expected);
  EXPECT_NE(latin.err.find("read as windows-1252"), std::string::npos) << latin.err;
  for (const std::string& file :
       {std::string("\x89PNG\r\n\x1A\n"), std::string("RIFF\0\0\0\0\0\0", 10)}) {
    const Outcome refused = said(file);
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  }
}

TEST(Speak, WhatIsLeftOutIsReportedOnce) {
  const Outcome outcome = run_to_end({PARLEY_SPEAK, "-m", voice().path("voice"), "--raw",
                                      "Go. \u0645\u0631 on. \u0645\uE000 Go."});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.err.find("cannot say: 4 characters: U+E000, Arabic (\u0631 \u0645)"),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

// What somebody types is spoken when the line ends, and at last without.
TEST(Speak, WhatIsTypedIsSpokenBeforeMoreComes) {
  const Voice v;
  for (const std::string text : {"Go.\n", "Go"}) {
    PipeEnds in;
    PipeEnds out;
    Process process(v.command({"--raw", "-"}), {.in = in.read_end, .out = out.write_end});
    out.close_write();
    ASSERT_EQ(::write(in.write_end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    char heard[256];
    EXPECT_GT(::read(out.read_end, heard, sizeof heard), 0) << text;
    in.close_write();
    while (::read(out.read_end, heard, sizeof heard) > 0) {
    }
    EXPECT_EQ(process.wait(), 0);
  }
}

TEST(Speak, HostileTextIsSpokenOrRefused) {
  EXPECT_EQ(voice().run({"--raw", "Go \xff\xfe\x80 on."}).code, 0);
  EXPECT_EQ(voice().run({"--raw", "\xff\xfe"}).code, 1);  // nothing in it can be said
}

// Endless text is spoken from its beginning on; who has heard enough closes the pipe.
TEST(Speak, AClosedPipeEndsItQuietly) {
  const Voice v;
  std::ofstream(v.path("long.txt")) << std::string(100000, 'a');
  PipeEnds out;
  PipeEnds err;
  Process process(v.command({"--raw", "-f", v.path("long.txt")}),
                  {.out = out.write_end, .err = err.write_end});
  out.close_write();
  err.close_write();
  char heard[256];
  EXPECT_GT(::read(out.read_end, heard, sizeof heard), 0);
  out.close_read();
  EXPECT_EQ(process.wait(), 1);
  EXPECT_EQ(::read(err.read_end, heard, sizeof heard), 0);
}

TEST(Speak, AnInterruptLeavesNoFile) {
  const Voice v;
  PipeEnds in;
  PipeEnds out;
  Process process(v.command({"--raw", "-"}), {.in = in.read_end, .out = out.write_end});
  out.close_write();
  const std::string text = "Go. And then ";
  ASSERT_EQ(::write(in.write_end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  char heard[2];
  ASSERT_EQ(::read(out.read_end, heard, 2), 2);  // it speaks, and waits for more text
  process.signal(SIGINT);
  while (::read(out.read_end, heard, 2) > 0) {
  }
  EXPECT_EQ(process.wait(), 130);
}

TEST(Speak, HelpFitsOnAScreen) {
  const Outcome outcome = run_to_end({PARLEY_SPEAK, "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_LT(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 40);
  for (size_t at = 0; at < outcome.out.size();) {
    const size_t end = outcome.out.find('\n', at);
    EXPECT_LE(end - at, 100u) << outcome.out.substr(at, end - at);
    at = end + 1;
  }
}

}  // namespace
}  // namespace parley::test
