// --precision: the arithmetic that products are computed in.
#pragma once

#include <string_view>

namespace parley::nn {

// kAuto is what is fastest on this CPU at nearly the same accuracy; kF32 is the reference.
enum class Precision { kAuto, kF32, kBF16, kInt8 };
std::string_view name_of(Precision precision);

}  // namespace parley::nn
