// Numbers that every program's --timings has.
#pragma once

#include <cstdint>

namespace parley::cli {

double rounded(double seconds);           // to microseconds
double ratio(double part, double whole);  // 0 when there is no whole
int64_t peak_rss_bytes();                 // of this process

}  // namespace parley::cli
