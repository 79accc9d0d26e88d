// Positions as sinusoids (Vaswani et al. 2017, §3.5).
#pragma once

#include <cstdint>

#include "parley/core/nn/tensor.h"

namespace parley::nn {

// scale * [sin(p w_0), cos(p w_0), sin(p w_1), ...] for each position p, w_i = 10000^(-2i / size):
// f32 [positions, size].
Buffer sinusoids(int64_t positions, int64_t size, float scale);

}  // namespace parley::nn
