#include "parley/text/scoring/compression_ratio.h"

#include <zlib.h>

#include <vector>

#include "parley/core/base/error.h"

namespace parley::text {

double compression_ratio(std::string_view utf8) {
  uLongf compressed_size = compressBound(utf8.size());
  std::vector<Bytef> compressed(compressed_size);
  const int result =
      compress2(compressed.data(), &compressed_size, reinterpret_cast<const Bytef*>(utf8.data()),
                utf8.size(), Z_DEFAULT_COMPRESSION);
  if (result != Z_OK) throw Error("compression ratio", "zlib ran out of memory");
  return static_cast<double>(utf8.size()) / static_cast<double>(compressed_size);
}

}  // namespace parley::text
