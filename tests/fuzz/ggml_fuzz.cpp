// whisper.cpp files from outside: what parses can be read; what does not throws Error.
#include <cstdint>
#include <string>
#include <string_view>

#include "parley/convert/ggml.h"
#include "parley/core/base/error.h"
#include "parley/tests/fuzz/checkpoint.h"

namespace {

void load(std::string_view file) {
  try {
    parley::fuzz::read_all(parley::stage::parse_ggml(std::as_bytes(std::span(file)), "fuzz"));
  } catch (const parley::Error&) {
  }
}

// Magic, dimensions, one mel filter, one token.
std::string valid_beginning() {
  const int32_t words[] = {0x67676d6c, 1772, 8, 32, 2, 2, 8, 32, 2, 1, 1, 2007, 1, 1, 0, 1, 0};
  return {reinterpret_cast<const char*>(words), sizeof words};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  load(input);
  load(valid_beginning() + std::string(input));
  return 0;
}
