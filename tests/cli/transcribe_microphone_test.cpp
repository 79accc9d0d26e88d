// transcribe --mic on a real sound server: PulseAudio with a null sink. What a player plays into
// the sink is what the microphone, its monitor, hears.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kServer = "/usr/bin/pulseaudio";
constexpr const char* kPlayer = "/usr/bin/paplay";
constexpr const char* kControl = "/usr/bin/pactl";
constexpr int kPatience = 60000;  // milliseconds for what takes a moment

// The next line; empty at the end and when none comes.
std::string next_line(int descriptor) {
  pollfd poller{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&poller, 1, kPatience) == 1 ? read_line(descriptor) : "";
}

std::string line_with(int descriptor, const std::string& part) {
  std::string line;
  do line = next_line(descriptor);
  while (!line.empty() && line.find(part) == std::string::npos);
  return line;
}

class SoundServer {
 public:
  explicit SoundServer(const std::string& folder)
      : folder_(folder),
        environment_({"XDG_RUNTIME_DIR=" + folder, "XDG_CONFIG_HOME=" + folder,
                      "PULSE_RUNTIME_PATH=" + folder, "PULSE_STATE_PATH=" + folder,
                      "PULSE_SERVER=unix:" + folder + "/sound"}) {
    start();
  }

  // False: it does not start here.
  bool start() {
    std::filesystem::remove(folder_ + "/sound");
    server_ = std::make_unique<Process>(
        std::vector<std::string>{
            kServer, "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L",
            "module-native-protocol-unix socket=" + folder_ + "/sound auth-anonymous=1", "-L",
            "module-null-sink sink_name=test rate=48000"},
        Streams{}, environment_);
    for (int attempt = 0; attempt < 300; ++attempt) {  // each takes a moment
      if (Process({kControl, "info"}, {}, environment_).wait() == 0) return running_ = true;
    }
    return running_ = false;
  }
  void kill() { server_.reset(); }
  bool running() const { return running_; }
  const std::vector<std::string>& environment() const { return environment_; }
  int play(const std::string& file) const {
    return Process({kPlayer, "--device=test", file}, {}, environment_).wait();
  }

 private:
  std::string folder_;
  std::vector<std::string> environment_;
  std::unique_ptr<Process> server_;
  bool running_ = false;
};

struct TranscribeMicrophone : testing::Test {
  Bench bench;
  TemporaryFolder folder;
  std::unique_ptr<SoundServer> server;
  PipeEnds out;
  PipeEnds err;
  std::unique_ptr<Process> program;

  void SetUp() override {
    for (const char* tool : {kServer, kPlayer, kControl}) {
      if (!std::filesystem::exists(tool)) GTEST_SKIP() << "needs PulseAudio: no " << tool;
    }
    if (!std::filesystem::exists("/etc/alsa/conf.d/50-pulseaudio.conf"))
      GTEST_SKIP() << "needs libasound2-plugins";
    server = std::make_unique<SoundServer>(folder.path().string());
    if (!server->running()) GTEST_SKIP() << "PulseAudio does not start here";
    program = std::make_unique<Process>(
        transcribe_command(bench.with(
            {"-f", "jsonl", "-l", "en", "--no-speech-threshold", "1", "--mic", "pulse"})),
        Streams{.out = out.write_end, .err = err.write_end}, server->environment());
    out.close_write();
    err.close_write();
    ASSERT_NE(line_with(err.read_end, "listening to pulse"), "");
  }
};

TEST_F(TranscribeMicrophone, HearsWhatIsPlayed) {
  ASSERT_EQ(server->play(bench.clip("a.wav")), 0);
  ASSERT_NE(line_with(out.read_end, "speech_start"), "");
  const std::string line = line_with(out.read_end, "\"final\"");
  ASSERT_NE(line, "");
  const Json final = Json::parse(line);
  EXPECT_GT(final.at("end").get<double>() - final.at("start").get<double>(), 0.5);
  EXPECT_EQ(final.at("dropped_ms"), 0);
  program->signal(SIGINT);
  EXPECT_EQ(program->wait(), 130);
}

TEST_F(TranscribeMicrophone, ComesBackWithTheSoundServer) {
  server->kill();
  ASSERT_NE(line_with(err.read_end, "waiting for it"), "");
  ASSERT_TRUE(server->start());
  ASSERT_NE(line_with(err.read_end, "again"), "");
  const Json gap = Json::parse(line_with(out.read_end, "overrun"));
  EXPECT_GT(gap.at("dropped_ms").get<double>(), 0);
  ASSERT_EQ(server->play(bench.clip("a.wav")), 0);
  ASSERT_NE(line_with(out.read_end, "\"final\""), "");
  program->signal(SIGINT);
  EXPECT_EQ(program->wait(), 130);
}

TEST(TranscribeMicrophones, AnUnknownOneIsRefusedByName) {
  const Bench bench;
  const Outcome outcome = bench.run({"--mic", "no such microphone"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err.rfind("transcribe: ", 0), 0u) << outcome.err;
  EXPECT_NE(outcome.err.find("microphone"), std::string::npos);
}

}  // namespace
}  // namespace parley::test
