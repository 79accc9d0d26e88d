#include "parley/core/nn/positions.h"

#include <cmath>

namespace parley::nn {

Buffer sinusoids(int64_t positions, int64_t size, float scale) {
  Buffer table(static_cast<size_t>(positions * size) * sizeof(float));
  auto* out = table.as<float>();
  for (int64_t i = 0; i < size; ++i) {
    const auto pair = static_cast<double>(i / 2 * 2);
    // Rounded to f32 like the reference's, which matters for far positions.
    const auto w =
        static_cast<float>(std::exp(-pair * std::log(10000.) / static_cast<double>(size)));
    for (int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * w;
      out[p * size + i] = scale * (i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

}  // namespace parley::nn
