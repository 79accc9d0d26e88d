// Where recordings that are joined in one file begin and end.
#pragma once

#include <cstdint>
#include <vector>

#include "parley/dsp/byte_input.h"

namespace parley::dsp {

// Bytes [begin, end) of an input that are a recording of their own.
struct Link {
  int64_t begin = 0;
  int64_t end = 0;
};

struct Links {
  std::vector<Link> links;  // at least one
  bool is_cut = false;      // the last has no mark of its end, as Ogg has: it was cut off
  bool has_more = false;    // more recordings than kMost
  static constexpr size_t kMost = 10000;
};

// Ogg (RFC 3533) is followed page by page, MP4 box by box: nothing else is read but for damaged
// parts of an Ogg file, which are searched for the next page. FLAC, which tells no lengths, is
// searched for the next head. Any other file is one recording.
Links find_links(ByteInput& input);

// Were there pages between those at bytes `from` and `to`, or what is no page?
bool ogg_pages_are_missing(ByteInput& input, int64_t from, int64_t to);

}  // namespace parley::dsp
