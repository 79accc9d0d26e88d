// The real programs, run as a user would.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "parley/tests/support.h"

namespace parley::test {

// A pipe; both ends are closed with it, or earlier, and not inherited.
struct PipeEnds {
  PipeEnds();
  ~PipeEnds();
  PipeEnds(const PipeEnds&) = delete;
  PipeEnds& operator=(const PipeEnds&) = delete;
  void close_read();
  void close_write();
  int read_end = -1;
  int write_end = -1;
};

// The next line without its end; what there is at the end of the input.
std::string read_line(int descriptor);

struct Streams {
  int in = -1;  // -1: /dev/null
  int out = -1;
  int err = -1;
};

// A program that runs beside the test, without models of its user.
class Process {
 public:
  // environment: "NAME=value", beside the few that are always set.
  Process(const std::vector<std::string>& command, const Streams& streams,
          const std::vector<std::string>& environment = {});
  ~Process();  // kills it if it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  int wait();  // exit code; 128 + the signal that killed it

 private:
  pid_t pid_ = -1;
};

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

// A program with its arguments, until it ends. input: what standard input holds.
Outcome run_to_end(const std::vector<std::string>& command, const std::string& input = "",
                   const std::vector<std::string>& environment = {});

// transcribe with these arguments, until it ends. input: what standard input holds.
Outcome transcribe(const std::vector<std::string>& arguments, const std::string& input = "",
                   const std::vector<std::string>& environment = {});
// The command, to run it by Process.
std::vector<std::string> transcribe_command(const std::vector<std::string>& arguments);

// A folder with a converted tiny model of random weights (multilingual, or English-only), and room
// for what a test makes. What the model writes is nonsense, but always the same.
class Bench {
 public:
  explicit Bench(const std::string& golden = "multilingual-80");

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  // Arguments that begin with the model and the fastest decoding.
  std::vector<std::string> with(const std::vector<std::string>& more) const;
  Outcome run(const std::vector<std::string>& more, const std::string& input = "") const;
  // Copies 4.5 s of sound to path(name); makes its folders.
  std::string clip(const std::string& name) const;
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
  // Names of all files below path(folder), relative, sorted; journals left out.
  std::vector<std::string> files(const std::string& folder) const;

 private:
  TemporaryFolder folder_;
};

}  // namespace parley::test
