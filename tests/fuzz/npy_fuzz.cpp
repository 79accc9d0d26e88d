// Arrays of numpy.save() from outside (x-vectors): as many values as the shape says, or refused
// with Error.
#include <cstdint>
#include <span>

#include "parley/convert/npy.h"
#include "parley/core/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxElements = 4096;
  try {
    const auto array =
        parley::stage::parse_npy(std::as_bytes(std::span(data, size)), "fuzz", kMaxElements);
    size_t elements = 1;
    for (const int64_t dimension : array.shape) elements *= static_cast<size_t>(dimension);
    if (array.values.size() != elements || elements > kMaxElements) __builtin_trap();
  } catch (const parley::Error&) {
  }
  return 0;
}
