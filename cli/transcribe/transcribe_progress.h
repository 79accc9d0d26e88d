// The progress bar of `transcribe`, one line on a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace parley::cli {

class TranscribeProgress {
 public:
  explicit TranscribeProgress(bool visible) : visible_(visible) {}
  ~TranscribeProgress() { clear(); }

  // So much of an input's audio is done. label: its name and place among the others; total_seconds:
  // < 0 unknown. Redrawn for another input, and at most ten times a second.
  void show(const std::string& label, double total_seconds, double seconds);
  // Takes the line away, so that something can be printed.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(double total_seconds, double seconds, Clock::time_point now);

  bool visible_;
  bool drawn_ = false;
  std::string label_;
  Clock::time_point begun_;
  Clock::time_point last_;
};

// "[#####-----]  12.0 / 24.0 s   8.1x  label", cut to `columns`. elapsed: seconds of work so far.
std::string progress_line(const std::string& label, double seconds, double total, double elapsed,
                          size_t columns);

}  // namespace parley::cli
