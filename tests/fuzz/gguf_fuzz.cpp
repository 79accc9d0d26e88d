// GGUF files from outside: what parses can be read; what does not throws Error.
#include <cstdint>
#include <span>

#include "parley/convert/gguf.h"
#include "parley/core/base/error.h"
#include "parley/tests/fuzz/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    parley::fuzz::read_all(parley::stage::parse_gguf(std::as_bytes(std::span(data, size)), "fuzz"));
  } catch (const parley::Error&) {
  }
  return 0;
}
