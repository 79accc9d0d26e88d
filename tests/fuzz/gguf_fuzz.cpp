// GGUF files from outside: what parses can be read; what does not throws Error.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "stage/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using parley::stage::SourceTensor;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    const auto checkpoint = parley::stage::parse_gguf(std::as_bytes(std::span(input)), "fuzz");
    for (const auto& [name, tensor] : checkpoint.tensors) {
      constexpr int64_t kPart = 16 * SourceTensor::kReadAlignment;
      const int64_t elements = tensor->shape().elements();
      std::vector<float> part;
      for (int64_t at = 0; at < elements; at += kPart) {
        part.resize(static_cast<size_t>(std::min(kPart, elements - at)));
        tensor->read(at, part);
      }
    }
  } catch (const parley::Error&) {
  }
  return 0;
}
