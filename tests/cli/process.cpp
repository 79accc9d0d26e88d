#include "parley/tests/cli/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "parley/convert/convert.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {

namespace fs = std::filesystem;

namespace {

void close_once(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

class OpenFile {
 public:
  OpenFile(const fs::path& path, int flags)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) throw std::runtime_error("cannot open " + path.string());
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

PipeEnds::PipeEnds() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  read_end = ends[0];
  write_end = ends[1];
}

PipeEnds::~PipeEnds() {
  close_read();
  close_write();
}

void PipeEnds::close_read() { close_once(read_end); }
void PipeEnds::close_write() { close_once(write_end); }

std::string read_line(int descriptor) {
  std::string line;
  for (char c = 0; ::read(descriptor, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

Process::Process(const std::vector<std::string>& command, const Streams& streams,
                 const std::vector<std::string>& environment) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  // Passive: threads that wait would take the processors from tests that run beside this one.
  std::vector<std::string> settings = {"HOME=/nonexistent", "PATH=/usr/bin:/bin",
                                       "OMP_WAIT_POLICY=passive"};
  for (const char* name : {"OMP_NUM_THREADS", "PARLEY_MAX_ISA", "ASAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) settings.push_back(std::string(name) + "=" + value);
  }
  settings.insert(settings.end(), environment.begin(), environment.end());
  std::vector<char*> variables;
  for (std::string& setting : settings) variables.push_back(setting.data());
  variables.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const int wanted[3] = {streams.in, streams.out, streams.err};
  for (int i = 0; i < 3; ++i) {
    if (wanted[i] >= 0) {
      posix_spawn_file_actions_adddup2(&actions, wanted[i], i);
    } else {
      posix_spawn_file_actions_addopen(&actions, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
    }
  }
  const int error = ::posix_spawn(&pid_, command.front().c_str(), &actions, nullptr,
                                  arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot run " + command.front());
}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) const { ::kill(pid_, number); }

int Process::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> transcribe_command(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {PARLEY_TRANSCRIBE};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Outcome run_to_end(const std::vector<std::string>& command, const std::string& input,
                   const std::vector<std::string>& environment) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in", input);
  Outcome outcome;
  {
    const OpenFile in(folder.path() / "in", O_RDONLY);
    const OpenFile out(folder.path() / "out", O_WRONLY | O_CREAT);
    const OpenFile err(folder.path() / "err", O_WRONLY | O_CREAT);
    outcome.code =
        Process(command, {.in = in.get(), .out = out.get(), .err = err.get()}, environment).wait();
  }
  outcome.out = read_bytes(folder.path() / "out");
  outcome.err = read_bytes(folder.path() / "err");
  return outcome;
}

Outcome transcribe(const std::vector<std::string>& arguments, const std::string& input,
                   const std::vector<std::string>& environment) {
  return run_to_end(transcribe_command(arguments), input, environment);
}

Bench::Bench(const std::string& golden) {
  stage::convert(source_path("tests/golden/whisper/" + golden), path("model"));
}

std::vector<std::string> Bench::with(const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"-m", path("model"), "--beam", "1", "--temperature", "0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Outcome Bench::run(const std::vector<std::string>& more, const std::string& input) const {
  return transcribe(with(more), input);
}

std::string Bench::clip(const std::string& name) const {
  fs::create_directories(fs::path(path(name)).parent_path());
  fs::copy_file(source_path("tests/golden/whisper/clips.wav"), path(name));
  return path(name);
}

std::vector<std::string> Bench::files(const std::string& folder) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(path(folder))) {
    if (entry.is_directory() || entry.path().filename() == ".parley-resume.jsonl") continue;
    names.push_back(entry.path().lexically_relative(path(folder)).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace parley::test
