// Safetensors from outside: what opens can be read to its last byte; what does not throws Error.
#include <cstdint>
#include <cstring>
#include <string>

#include "parley/core/base/error.h"
#include "parley/core/model/safetensors.h"

namespace {

void load(std::string_view file) {
  try {
    const auto opened =
        parley::stage::Safetensors::from_bytes(std::as_bytes(std::span(file)), "fuzz");
    for (const std::string& name : opened.names()) {
      unsigned sum = 0;
      for (const std::byte byte : opened.bytes(name)) sum += std::to_integer<unsigned>(byte);
      try {
        const parley::nn::Tensor tensor = opened.tensor(name);
        const auto* bytes = tensor.as<uint8_t>();
        for (size_t i = 0; i < tensor.bytes(); ++i) sum -= bytes[i];
        if (sum != 0) __builtin_trap();
      } catch (const parley::Error&) {  // a dtype that is not supported
      }
    }
  } catch (const parley::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  load(input);
  // The same as a header with a right length before 24 bytes of data.
  const uint64_t length = size;
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  load(file + std::string(input) + std::string(24, '\1'));
  return 0;
}
