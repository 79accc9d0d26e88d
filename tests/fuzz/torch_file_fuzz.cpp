// Files of torch.save() from outside, as checkpoints of openai/whisper: readable, or refused with
// Error.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "parley/convert/openai.h"
#include "parley/core/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto file = std::make_shared<const parley::stage::TorchFile>(
        std::as_bytes(std::span(data, size)), "fuzz");
    const auto checkpoint = parley::stage::read_openai(file);
    for (const auto& [name, tensor] : checkpoint.tensors) {
      std::vector<float> part(
          static_cast<size_t>(std::min<int64_t>(tensor->shape().elements(), 1 << 16)));
      tensor->read(0, part);
    }
  } catch (const parley::Error&) {
  }
  return 0;
}
