// What transcribe writes: results, timings, and what is left alone with --resume.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

using nlohmann::json;

std::set<std::string> keys(const json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

json timings_of(const Bench& bench, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--timings", bench.path("timings.json")});
  const Outcome outcome = bench.run(arguments);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return json::parse(read_bytes(bench.path("timings.json")));
}

ino_t inode(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

TEST(TranscribeOutputs, JsonHasTheDocumentedFields) {
  const Bench bench;
  const Outcome outcome = bench.run({"-f", "json", bench.clip("a.wav")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(keys(result),
            (std::set<std::string>{"file", "duration", "language", "language_probability", "model",
                                   "segments", "text", "rejected"}));
  EXPECT_EQ(result.at("file"), bench.path("a.wav"));
  EXPECT_EQ(result.at("duration"), 4.5);
  ASSERT_FALSE(result.at("segments").empty());
  for (const json& segment : result.at("segments")) {
    EXPECT_EQ(keys(segment), (std::set<std::string>{"id", "start", "end", "text", "tokens",
                                                    "avg_logprob", "compression_ratio",
                                                    "no_speech_prob", "temperature", "words"}));
  }
}

TEST(TranscribeOutputs, WordsAreInJsonAndHighlightedInSubtitles) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  for (const std::string strategy : {"windows", "sequential"}) {
    const Outcome outcome =
        bench.run({"-f", "jsonl,srt,vtt", "--word-timestamps", "--strategy", strategy, "--offset",
                   "1", "--hotwords", "Parley,new york", "--hallucination-silence-threshold", "2",
                   "-o", bench.path(strategy), clip});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const json result = json::parse(read_bytes(bench.path(strategy + "/a.jsonl")));
    size_t words = 0;
    double last = 1;  // times are times of the file
    for (const json& segment : result.at("segments")) {
      for (const json& word : segment.at("words")) {
        EXPECT_EQ(keys(word),
                  (std::set<std::string>{"word", "start", "end", "probability", "source"}));
        EXPECT_GE(word.at("start").get<double>(), last - 1e-6);
        last = word.at("end");
        ++words;
      }
    }
    EXPECT_GT(words + result.at("rejected").size(), 0u);
    if (words == 0) continue;
    for (const char* format : {"srt", "vtt"}) {
      const std::string subtitles = read_bytes(bench.path(strategy + "/a." + format));
      EXPECT_NE(subtitles.find("<u>"), std::string::npos) << subtitles;
    }
  }
}

TEST(TranscribeOutputs, ADetectorGivenToSequentialLimitsIt) {
  const Bench bench;
  const std::string file = bench.path("pauses.wav");
  const std::string sound = s16le(noise(8 * 16000, 0, 1)) +
                            read_bytes(bench.clip("a.wav")).substr(44) +
                            s16le(noise(8 * 16000, 0, 1));
  write_file(file, wav_header(16000, 1, 16, static_cast<uint32_t>(sound.size())) + sound);
  const auto skipped = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"-f", "json", "--strategy", "sequential", file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = bench.run(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    int count = 0;
    const json result = json::parse(outcome.out);
    for (const json& rejected : result.at("rejected"))
      count += rejected.at("reason") == "vad" ? 1 : 0;
    return count;
  };
  EXPECT_EQ(skipped({}), 0);
  EXPECT_EQ(skipped({"--vad", "off"}), 0);
  EXPECT_EQ(skipped({"--vad", "webrtc"}), 2);
  EXPECT_GE(skipped({"--vad", "silero"}), 1);
  EXPECT_EQ(skipped({"--vad", "webrtc", "--endpoint-silence", "30"}), 2) << "at both ends";
}

TEST(TranscribeOutputs, OneOfSeveralLanguagesIsHeard) {
  const Bench bench;
  const Outcome outcome = bench.run({"-l", "sw,yoruba", "-f", "json", bench.clip("a.wav")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_TRUE(result.at("language") == "sw" || result.at("language") == "yo") << outcome.out;
  EXPECT_GE(result.at("language_probability").get<double>(), 0.5);
}

TEST(TranscribeOutputs, AllFormatsAreWrittenBesideEachOther) {
  const Bench bench;
  const Outcome outcome = bench.run({"-f", "txt,srt,vtt,json,jsonl,tsv,csv,lrc,txt", "-o",
                                     bench.path("out/new"), bench.clip("a.b.wav")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(bench.files("out/new"),
            (std::vector<std::string>{"a.b.csv", "a.b.json", "a.b.jsonl", "a.b.lrc", "a.b.srt",
                                      "a.b.tsv", "a.b.txt", "a.b.vtt"}));
  EXPECT_EQ(json::parse(read_bytes(bench.path("out/new/a.b.json"))),
            json::parse(read_bytes(bench.path("out/new/a.b.jsonl"))));
}

TEST(TranscribeOutputs, SeveralResultsFollowOneAnotherOnlyAsLines) {
  const Bench bench;
  const std::string a = bench.clip("a.wav");
  const std::string b = bench.clip("b.wav");
  const Outcome lines = bench.run({"-f", "jsonl", b, a});
  EXPECT_EQ(lines.code, 0);
  EXPECT_LT(lines.out.find("b.wav"), lines.out.find("a.wav"));  // in the order of the inputs
  EXPECT_EQ(bench.run({a, b}).code, 0);
  for (const char* format : {"srt", "vtt", "json", "tsv", "csv", "lrc"}) {
    EXPECT_EQ(bench.run({"-f", format, a}).code, 0) << format;
    EXPECT_EQ(bench.run({"-f", format, a, b}).code, 2) << format;
  }
}

TEST(TranscribeOutputs, TimingsHaveTheDocumentedFields) {
  const Bench bench;
  const json timings = timings_of(bench, {"-l", "en", bench.clip("a.wav"), bench.clip("b.wav")});
  for (const char* name : {"wall_seconds", "audio_seconds", "real_time_factor", "tokens",
                           "tokens_per_second", "peak_rss_bytes", "threads"}) {
    EXPECT_GT(timings.at(name).get<double>(), 0) << name;
  }
  EXPECT_EQ(timings.at("audio_seconds"), 9.0);
  EXPECT_NEAR(timings.at("real_time_factor").get<double>(),
              timings.at("wall_seconds").get<double>() / 9, 1e-6);
  EXPECT_EQ(keys(timings.at("stages")), (std::set<std::string>{"decode_audio", "vad", "frontend",
                                                               "encoder", "decoder", "stitch"}));
  EXPECT_EQ(timings.at("model_digest").get<std::string>().rfind("sha256:", 0), 0u);
  EXPECT_EQ(timings.at("precision"), "auto");
  EXPECT_FALSE(timings.at("instruction_set").get<std::string>().empty());
  EXPECT_EQ(timings.at("inputs"), json::parse(R"({"done": 2, "skipped": 0, "failed": 0})"));
}

TEST(TranscribeOutputs, TimingsFollowTheResultsOnStandardOutput) {
  const Bench bench;
  const Outcome outcome = bench.run({"-f", "jsonl", "--timings", "-", bench.clip("a.wav")});
  const size_t end = outcome.out.find('\n');
  EXPECT_TRUE(json::parse(outcome.out.substr(0, end)).contains("segments"));
  EXPECT_TRUE(json::parse(outcome.out.substr(end + 1)).contains("real_time_factor"));
}

TEST(TranscribeOutputs, AFullDiskIsAnError) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const Outcome timings = bench.run({"--timings", "/dev/full", clip});
  EXPECT_EQ(timings.code, 1);
  EXPECT_NE(timings.err.find("/dev/full: cannot write"), std::string::npos) << timings.err;
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));

  PipeEnds err;
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  Process program(transcribe_command(bench.with({"-f", "json", clip})),
                  {.out = full, .err = err.write_end});
  ::close(full);
  err.close_write();
  const std::string message = read_line(err.read_end);
  EXPECT_EQ(program.wait(), 1);
  EXPECT_EQ(message.rfind("transcribe: standard output: cannot write", 0), 0u) << message;
}

TEST(TranscribeOutputs, AnOutputFolderThatCannotBeMadeIsAnError) {
  const Bench bench;
  write_file(bench.path("file"), "in the way");
  const std::string clip = bench.clip("a.wav");
  for (const char* folder : {"file", "file/out"}) {
    const Outcome outcome = bench.run({"-o", bench.path(folder), clip});
    EXPECT_EQ(outcome.code, 1) << folder;
    EXPECT_EQ(outcome.err.rfind("transcribe: " + bench.path(folder), 0), 0u) << outcome.err;
  }
}

TEST(TranscribeOutputs, ResultsCanLieBesideTheirInputs) {
  const Bench bench;
  bench.clip("in/a.wav");
  bench.clip("in/sub/b.wav");
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(bench.path("in"));
  const Outcome outcome = bench.run({"-o", ".", "."});
  const Outcome again = bench.run({"-o", "./", "--resume", "../in/"});
  std::filesystem::current_path(here);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(bench.files("in"),
            (std::vector<std::string>{"a.txt", "a.wav", "sub/b.txt", "sub/b.wav"}));
  EXPECT_EQ(again.err, "transcribe: 2 inputs were already done\n");
}

TEST(TranscribeOutputs, ResumeDoesOnlyWhatIsMissing) {
  const Bench bench;
  bench.clip("in/a.wav");
  bench.clip("in/b.wav");
  const std::vector<std::string> run = {"--resume",      "-f", "txt,json", "-o", bench.path("out"),
                                        bench.path("in")};
  EXPECT_EQ(timings_of(bench, run)["inputs"]["done"], 2);
  const ino_t kept = inode(bench.path("out/a.txt"));
  std::filesystem::remove(bench.path("out/b.json"));
  const json second = timings_of(bench, run);
  EXPECT_EQ(second["inputs"], json::parse(R"({"done": 1, "skipped": 1, "failed": 0})"));
  EXPECT_TRUE(bench.exists("out/b.json"));
  EXPECT_EQ(inode(bench.path("out/a.txt")), kept);  // not written again
  EXPECT_EQ(timings_of(bench, run)["inputs"]["skipped"], 2);
}

TEST(TranscribeOutputs, ResumeRedoesWhatOtherOptionsOrInputsMade) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const auto skipped = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--resume", "-o", bench.path("out"), clip});
    return timings_of(bench, more)["inputs"]["skipped"].get<int>();
  };
  EXPECT_EQ(skipped({}), 0);
  EXPECT_EQ(skipped({"--batch", "2", "--threads", "1"}), 1);  // change no result
  EXPECT_EQ(skipped({"-l", "en"}), 0);
  EXPECT_EQ(skipped({}), 0);
  EXPECT_EQ(skipped({}), 1);
  write_file(clip, read_bytes(clip) + "more");
  EXPECT_EQ(skipped({}), 0);
  EXPECT_EQ(skipped({}), 1);
}

TEST(TranscribeOutputs, ResumeSurvivesADamagedJournal) {
  const Bench bench;
  const std::vector<std::string> run = {"--resume", "-o", bench.path("out"), bench.clip("a.wav")};
  EXPECT_EQ(timings_of(bench, run)["inputs"]["done"], 1);
  std::ofstream(bench.path("out/.parley-resume.jsonl"), std::ios::app)
      << "\xFF\xFE[]\n{\"output\": 1}\n[1,2]\n{\"output\": \"a.t";
  EXPECT_EQ(timings_of(bench, run)["inputs"]["skipped"], 1);
  std::filesystem::remove(bench.path("out/a.txt"));
  EXPECT_EQ(timings_of(bench, run)["inputs"]["done"], 1);
  EXPECT_EQ(timings_of(bench, run)["inputs"]["skipped"],
            1);  // its line did not join the broken one
}

}  // namespace
}  // namespace parley::test
