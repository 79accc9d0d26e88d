#pragma once

#include <string_view>

namespace parley::text {

// Bytes of the text divided by its bytes after zlib at the default level 6 (openai/whisper
// utils.py): above 2.4 the text repeats itself. 0 for empty text.
double compression_ratio(std::string_view utf8);

}  // namespace parley::text
