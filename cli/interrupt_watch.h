// Ctrl-C for a program with one long computation: the first stops it, the second ends it.
#pragma once

#include <atomic>
#include <stop_token>
#include <thread>

namespace parley::cli {

// While it lives, SIGINT and SIGTERM trigger the token. Make one before other threads start.
class InterruptWatch {
 public:
  InterruptWatch();

  std::stop_token token() const { return source_.get_token(); }
  // Reading standard input may block for ever, deaf to the token. While this is set, the program
  // exits with kInterrupted a moment after the signal; set it only where nothing is half done.
  void set_reading_stdin(bool reading) { reading_stdin_ = reading; }

 private:
  void watch(const std::stop_token& done);

  std::stop_source source_;
  std::atomic<bool> reading_stdin_ = false;
  std::jthread thread_;
};

}  // namespace parley::cli
