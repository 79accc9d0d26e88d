#include "parley/cli/interrupt_watch.h"

#include <chrono>
#include <cstdlib>

#include "parley/cli/program.h"

namespace parley::cli {

namespace {
constexpr auto kTick = std::chrono::milliseconds(20);
constexpr int kPatience = 50;  // ticks
}  // namespace

InterruptWatch::InterruptWatch() {
  watch_interrupts();
  thread_ = std::jthread([this](const std::stop_token& done) { watch(done); });
}

// A signal handler can do little more than set a flag, so a thread looks at it.
void InterruptWatch::watch(const std::stop_token& done) {
  int ticks = 0;
  while (!done.stop_requested()) {
    if (interrupted()) {
      source_.request_stop();
      if (ticks++ >= kPatience && reading_stdin_) std::_Exit(kInterrupted);
    }
    std::this_thread::sleep_for(kTick);
  }
}

}  // namespace parley::cli
