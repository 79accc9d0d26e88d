// What the fuzz targets do with a checkpoint that was accepted.
#pragma once

#include <algorithm>
#include <vector>

#include "parley/convert/checkpoint.h"

namespace parley::fuzz {

// Reads every tensor to its end.
inline void read_all(const stage::Checkpoint& checkpoint) {
  constexpr int64_t kPart = 16 * stage::SourceTensor::kReadAlignment;
  std::vector<float> part;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const int64_t elements = tensor->shape().elements();
    for (int64_t at = 0; at < elements; at += kPart) {
      part.resize(static_cast<size_t>(std::min(kPart, elements - at)));
      tensor->read(at, part);
    }
  }
}

}  // namespace parley::fuzz
