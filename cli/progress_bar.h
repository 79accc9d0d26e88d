// How far a command of parley is, on standard error.
#pragma once

#include <cstdint>
#include <string>

namespace parley::cli {

// One line on a terminal, redrawn whenever another hundredth is done; nothing elsewhere, nor when
// `quiet`.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(uint64_t done, uint64_t total, const std::string& what);

 private:
  bool visible_;
  int percent_ = -1;
};

}  // namespace parley::cli
