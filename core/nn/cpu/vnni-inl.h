// What the files of VNNI kernels share.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#define PARLEY_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace parley::nn::kernels {

PARLEY_VNNI inline __m512i broadcast_four(const uint8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

}  // namespace parley::nn::kernels
