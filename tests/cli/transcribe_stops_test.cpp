// How transcribe ends before it is done, and what it shows meanwhile.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

// Four hours of silence, which take the tiny model many seconds when nothing is skipped.
std::string long_work(const Bench& bench) {
  constexpr uint32_t kBytes = 4u * 3600 * 16000 * 2;
  write_file(bench.path("long.wav"), wav_header(16000, 1, 16, kBytes));
  std::filesystem::resize_file(bench.path("long.wav"), 44 + kBytes);  // sparse
  return bench.path("long.wav");
}

TEST(TranscribeStops, AnInterruptLeavesFinishedOutputsAndNothingHalfMade) {
  for (const int number : {SIGINT, SIGTERM}) {
    const Bench bench;
    const std::vector<std::string> options = {
        "--vad", "off", "-l", "en", "-f", "txt,json", "-o", bench.path("out"), bench.clip("a.wav")};
    std::vector<std::string> arguments = options;
    arguments.insert(arguments.end(), {"--verbose", long_work(bench)});
    PipeEnds err;
    Process program(transcribe_command(bench.with(arguments)), {.err = err.write_end});
    err.close_write();
    // Inputs overlap: the second one may begin before the first one is done.
    for (bool begun = false, done = false; !begun || !done;) {
      const std::string line = read_line(err.read_end);
      ASSERT_FALSE(line.empty());
      begun |= line.find("long.wav: begins") != std::string::npos;
      done |= line.find("a.wav: done") != std::string::npos;
    }
    program.signal(number);
    while (!read_line(err.read_end).empty()) continue;
    EXPECT_EQ(program.wait(), 130);
    EXPECT_EQ(bench.files("out"), (std::vector<std::string>{"a.json", "a.txt"}));
    EXPECT_TRUE(nlohmann::json::accept(read_bytes(bench.path("out/a.json"))));
    arguments = options;
    arguments.push_back("--resume");
    EXPECT_EQ(bench.run(arguments).err, "transcribe: 1 input was already done\n");
  }
}

TEST(TranscribeStops, AnInterruptEndsTheWaitForStandardInput) {
  const Bench bench;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--raw", "s16le", "-"}, {"--jobs-file", "-"}}) {
    PipeEnds in;  // open, and nothing comes
    PipeEnds err;
    std::vector<std::string> more = {"--verbose"};
    more.insert(more.end(), arguments.begin(), arguments.end());
    Process program(transcribe_command(bench.with(more)),
                    {.in = in.read_end, .err = err.write_end});
    err.close_write();
    EXPECT_NE(read_line(err.read_end).find("model "), std::string::npos);
    program.signal(SIGINT);
    EXPECT_EQ(program.wait(), 130);
  }
}

TEST(TranscribeStops, AClosedPipeEndsQuietly) {
  const Bench bench;
  PipeEnds out;
  PipeEnds err;
  out.close_read();
  Process program(
      transcribe_command(bench.with({"-f", "jsonl", bench.clip("a.wav"), bench.clip("b.wav")})),
      {.out = out.write_end, .err = err.write_end});
  err.close_write();
  EXPECT_EQ(program.wait(), 1);
  EXPECT_EQ(read_line(err.read_end), "");
}

// What the program writes to a terminal of 80 columns.
std::string shown_on_terminal(const std::vector<std::string>& arguments) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) return "no terminal";
  const int side = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
  Process program(transcribe_command(arguments), {.err = side});
  ::close(side);
  std::string shown;
  char buffer[4096];
  for (ssize_t got; (got = ::read(terminal, buffer, sizeof buffer)) > 0;) {
    shown.append(buffer, static_cast<size_t>(got));
  }
  EXPECT_EQ(program.wait(), 0);
  ::close(terminal);
  return shown;
}

TEST(TranscribeStops, TheProgressBarIsForTerminalsOnly) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const std::string shown = shown_on_terminal(bench.with({clip}));
  EXPECT_NE(shown.find("/ 4.5 s"), std::string::npos) << shown;
  EXPECT_TRUE(shown.ends_with("\r\033[K")) << shown;  // taken away again
  EXPECT_EQ(shown_on_terminal(bench.with({"--quiet", clip})), "");
  EXPECT_EQ(bench.run({clip}).err, "");
}

}  // namespace
}  // namespace parley::test
