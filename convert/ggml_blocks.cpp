// The block formats of ggml: 32 elements share a scale d (f16) and, in the _1 kinds, a minimum m
// (f16). In 4- and 5-bit blocks byte j holds the low bits of elements j and j + 16; the fifth bits
// lie in one 32-bit word, bit i for element i.
#include <array>
#include <bit>

#include "parley/convert/byte_reader.h"
#include "parley/convert/ggml.h"
#include "parley/convert/ggml_k_blocks.h"
#include "parley/core/base/error.h"

namespace parley::stage {

namespace {

constexpr int kBlock = 32;
constexpr int kHalf = kBlock / 2;

float read_half(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return nn::f16_to_f32(bits);
}

// One block of `kBits` (4 or 5) bits: value = d * q + m with a minimum, else d * (q - 2^(kBits -
// 1)).
template <int kBits, bool kHasMinimum>
const std::byte* dequantize_block(const std::byte* at, float* out) {
  const float d = read_half(at);
  at += sizeof(uint16_t);
  float m = 0;
  if constexpr (kHasMinimum) {
    m = read_half(at);
    at += sizeof(uint16_t);
  }
  uint32_t fifth_bits = 0;
  if constexpr (kBits == 5) {
    std::memcpy(&fifth_bits, at, sizeof fifth_bits);
    at += sizeof fifth_bits;
  }
  constexpr int kZero = kHasMinimum ? 0 : 1 << (kBits - 1);
  for (int j = 0; j < kBlock; ++j) {
    const int packed = std::to_integer<int>(at[j % kHalf]);
    const int low = j < kHalf ? packed & 15 : packed >> 4;
    const int q = low | static_cast<int>((fifth_bits >> j & 1) << 4);
    out[j] = static_cast<float>(q - kZero) * d + m;
  }
  return at + kHalf;
}

const std::byte* dequantize_q8_0(const std::byte* at, float* out) {
  const float d = read_half(at);
  at += sizeof(uint16_t);
  for (int j = 0; j < kBlock; ++j) out[j] = static_cast<float>(std::to_integer<int8_t>(at[j])) * d;
  return at + kBlock;
}

template <typename Block>
void each_block(std::span<const std::byte> blocks, std::span<float> out, Block dequantize_one) {
  const std::byte* at = blocks.data();
  for (size_t i = 0; i < out.size(); i += kBlock) at = dequantize_one(at, out.data() + i);
}

void each_k_block(GgmlType type, std::span<const std::byte> blocks, std::span<float> out,
                  void (*dequantize_one)(const uint8_t*, float*)) {
  const size_t bytes = ggml_block(static_cast<int32_t>(type), "").bytes;
  const auto* at = reinterpret_cast<const uint8_t*>(blocks.data());
  for (size_t i = 0; i < out.size(); i += kBlockK, at += bytes) dequantize_one(at, out.data() + i);
}

}  // namespace

GgmlBlock ggml_block(int32_t type, const std::string& where) {
  switch (static_cast<GgmlType>(type)) {
    case GgmlType::kF32:
      return {1, 4};
    case GgmlType::kF16:
      return {1, 2};
    case GgmlType::kQ4_0:
      return {kBlock, 2 + 16};
    case GgmlType::kQ4_1:
      return {kBlock, 2 + 2 + 16};
    case GgmlType::kQ5_0:
      return {kBlock, 2 + 4 + 16};
    case GgmlType::kQ5_1:
      return {kBlock, 2 + 2 + 4 + 16};
    case GgmlType::kQ8_0:
      return {kBlock, 2 + 32};
    case GgmlType::kQ2_K:
      return {kBlockK, 84};
    case GgmlType::kQ3_K:
      return {kBlockK, 110};
    case GgmlType::kQ4_K:
      return {kBlockK, 144};
    case GgmlType::kQ5_K:
      return {kBlockK, 176};
    case GgmlType::kQ6_K:
      return {kBlockK, 210};
    case GgmlType::kBF16:
      return {1, 2};
  }
  throw Error(where,
              "is stored in ggml's type " + std::to_string(type) + ", which is not supported",
              "f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0 and q2_K to q6_K are");
}

void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> out) {
  switch (type) {
    case GgmlType::kF32:
      return nn::to_f32(blocks.data(), nn::DType::kF32, out.size(), out.data());
    case GgmlType::kF16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = read_half(blocks.data() + 2 * i);
      return;
    case GgmlType::kQ4_0:
      return each_block(blocks, out, dequantize_block<4, false>);
    case GgmlType::kQ4_1:
      return each_block(blocks, out, dequantize_block<4, true>);
    case GgmlType::kQ5_0:
      return each_block(blocks, out, dequantize_block<5, false>);
    case GgmlType::kQ5_1:
      return each_block(blocks, out, dequantize_block<5, true>);
    case GgmlType::kQ8_0:
      return each_block(blocks, out, dequantize_q8_0);
    case GgmlType::kQ2_K:
      return each_k_block(type, blocks, out, dequantize_q2_k);
    case GgmlType::kQ3_K:
      return each_k_block(type, blocks, out, dequantize_q3_k);
    case GgmlType::kQ4_K:
      return each_k_block(type, blocks, out, dequantize_q4_k);
    case GgmlType::kQ5_K:
      return each_k_block(type, blocks, out, dequantize_q5_k);
    case GgmlType::kQ6_K:
      return each_k_block(type, blocks, out, dequantize_q6_k);
    case GgmlType::kBF16:
      return nn::to_f32(blocks.data(), nn::DType::kBF16, out.size(), out.data());
  }
}

}  // namespace parley::stage
