#include "parley/cli/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace parley::cli {

ProgressBar::ProgressBar(bool quiet) : visible_(!quiet && ::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (percent_ >= 0) std::fputs("\r\033[K", stderr);
}

void ProgressBar::show(uint64_t done, uint64_t total, const std::string& what) {
  constexpr int kWidth = 30;
  const double share =
      static_cast<double>(done) / static_cast<double>(std::max<uint64_t>(total, 1));
  const int percent = static_cast<int>(100 * std::min(share, 1.0));
  if (!visible_ || percent == percent_) return;
  percent_ = percent;
  const std::string bar(static_cast<size_t>(percent * kWidth / 100), '#');
  std::fprintf(stderr, "\r\033[K[%-*s] %3d %%  %s", kWidth, bar.c_str(), percent, what.c_str());
}

}  // namespace parley::cli
