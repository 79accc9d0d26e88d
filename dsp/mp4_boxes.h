// The outermost boxes of an MP4 or QuickTime file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "parley/dsp/byte_input.h"

namespace parley::dsp {

inline constexpr int kMostMp4Boxes = 1000000;  // that are followed

struct Mp4Box {
  std::string type;
  int64_t end = 0;  // at most that of the input
};

// The box at `at`, by ISO/IEC 14496-12 §4.2; nothing when there is none of a type that is found
// there.
std::optional<Mp4Box> read_mp4_box(ByteInput& input, int64_t at);

// Is [begin, end) an MP4 or QuickTime file whose boxes, as far as they go, hold no index?
bool mp4_index_is_missing(ByteInput& input, int64_t begin, int64_t end);

}  // namespace parley::dsp
