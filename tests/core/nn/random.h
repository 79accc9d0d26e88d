// Seeded random tensors and a plain reference for the tests of nn/.
#pragma once

#include <random>
#include <vector>

#include "parley/core/nn/cpu/kernels.h"
#include "parley/core/nn/tensor.h"

namespace parley::test {

inline std::vector<float> random_values(size_t count, uint32_t seed, float scale = 1.f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.f, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

inline nn::Tensor view(std::vector<float>& values, const nn::Shape& shape) {
  return {values.data(), shape, nn::DType::kF32};
}

// How many times coarser than bytes up to 255 those of activations are on this CPU.
inline double coarser_bytes() { return 255. / nn::kernels::byte_limit(); }

}  // namespace parley::test
