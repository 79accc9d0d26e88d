#include "parley/cli/run_facts.h"

#include <sys/resource.h>

#include <cmath>

namespace parley::cli {

double rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

double ratio(double part, double whole) { return whole > 0 ? rounded(part / whole) : 0; }

int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace parley::cli
