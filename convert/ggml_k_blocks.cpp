// ggml's k-quants: 256 elements share one or two f16 factors; each 16 or 32 of them have a scale,
// and in some kinds a minimum, of a few bits (ggml's ggml-common.h).
#include "parley/convert/ggml_k_blocks.h"

#include <cstring>

#include "parley/core/nn/tensor.h"

namespace parley::stage {

namespace {

constexpr int kHalfBlock = 128;

float read_half(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return nn::f16_to_f32(bits);
}

struct ScaleAndMinimum {
  int scale;
  int minimum;
};

// Eight pairs of 6 bits in 12 bytes: the first four plain, the others in 4 + 2 bits.
ScaleAndMinimum six_bits(const uint8_t* packed, int index) {
  if (index < 4) return {packed[index] & 63, packed[index + 4] & 63};
  return {(packed[index + 4] & 15) | (packed[index - 4] >> 6 << 4),
          (packed[index + 4] >> 4) | (packed[index] >> 6 << 4)};
}

}  // namespace

void dequantize_q2_k(const uint8_t* block, float* out) {
  const uint8_t* scales = block;  // [16]: 4 bits of scale, 4 of minimum
  const uint8_t* q = block + 16;  // [64]
  const float d = read_half(block + 80);
  const float minimum = read_half(block + 82);
  for (int i = 0; i < kBlockK; ++i) {
    const int half = i / kHalfBlock;
    const int shift = i % kHalfBlock / 32 * 2;
    const uint8_t scale = scales[i / 16];
    out[i] = d * static_cast<float>((scale & 15) * (q[32 * half + i % 32] >> shift & 3)) -
             minimum * static_cast<float>(scale >> 4);
  }
}

void dequantize_q3_k(const uint8_t* block, float* out) {
  const uint8_t* high = block;  // [32]: the third bits
  const uint8_t* q = block + 32;
  const uint8_t* scales = block + 96;  // 16 scales of 6 bits in 12 bytes
  const float d = read_half(block + 108);
  for (int i = 0; i < kBlockK; ++i) {
    const int group = i / 16;
    const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    const int scale = (low | (scales[8 + group % 4] >> (2 * (group / 4)) & 3) << 4) - 32;
    const int bits = q[32 * (i / kHalfBlock) + i % 32] >> (i % kHalfBlock / 32 * 2) & 3;
    const int third = high[i % 32] >> (i / 32) & 1;
    out[i] = d * static_cast<float>(scale * (bits - (third ? 0 : 4)));
  }
}

void dequantize_q4_k(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float minimum = read_half(block + 2);
  const uint8_t* q = block + 16;
  for (int i = 0; i < kBlockK; ++i) {
    const auto [scale, least] = six_bits(block + 4, i / 32);
    const int nibble = q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
    out[i] = d * static_cast<float>(scale * nibble) - minimum * static_cast<float>(least);
  }
}

void dequantize_q5_k(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float minimum = read_half(block + 2);
  const uint8_t* high = block + 16;  // [32]: the fifth bits
  const uint8_t* q = block + 48;
  for (int i = 0; i < kBlockK; ++i) {
    const auto [scale, least] = six_bits(block + 4, i / 32);
    const int low = q[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
    const int value = low | (high[i % 32] >> (i / 32) & 1) << 4;
    out[i] = d * static_cast<float>(scale * value) - minimum * static_cast<float>(least);
  }
}

void dequantize_q6_k(const uint8_t* block, float* out) {
  const uint8_t* low = block;         // [128]
  const uint8_t* high = block + 128;  // [64]
  const auto* scales = reinterpret_cast<const int8_t*>(block + 192);
  const float d = read_half(block + 208);
  for (int i = 0; i < kBlockK; ++i) {
    const int half = i / kHalfBlock;
    const int within = i % kHalfBlock;
    const int nibble = low[64 * half + within % 64] >> (within / 64 * 4) & 15;
    const int top = high[32 * half + within % 32] >> (within / 32 * 2) & 3;
    out[i] = d * static_cast<float>(scales[i / 16] * ((nibble | top << 4) - 32));
  }
}

}  // namespace parley::stage
