// What the benchmarks share: a clock, memory, the options of every measurement.
#pragma once

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <map>
#include <string>

#include "parley/core/nn/weight.h"

namespace parley::bench {

// Runs from its construction on.
class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  double milliseconds() const { return 1e3 * seconds(); }
  // Of all threads: what other programs do meanwhile hardly counts.
  double processor_seconds() const { return of_process() - processor_start_; }

 private:
  static double of_process() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double processor_start_ = of_process();
};

inline int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

// --threads, --precision
inline void add_machine_options(CLI::App& app, int& threads, nn::Precision& precision) {
  app.add_option("--threads", threads, "0: all processors");
  app.add_option("--precision", precision, "auto, f32, bf16 or int8")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, nn::Precision>{{"auto", nn::Precision::kAuto},
                                               {"f32", nn::Precision::kF32},
                                               {"bf16", nn::Precision::kBF16},
                                               {"int8", nn::Precision::kInt8}}));
}

}  // namespace parley::bench
