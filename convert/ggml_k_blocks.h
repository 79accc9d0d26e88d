// ggml's blocks of 256 elements ("k-quants"), as GGUF files have them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace parley::stage {

inline constexpr int kBlockK = 256;

// One block to out[256].
void dequantize_q2_k(const uint8_t* block, float* out);  // 84 bytes
void dequantize_q3_k(const uint8_t* block, float* out);  // 110
void dequantize_q4_k(const uint8_t* block, float* out);  // 144
void dequantize_q5_k(const uint8_t* block, float* out);  // 176
void dequantize_q6_k(const uint8_t* block, float* out);  // 210

}  // namespace parley::stage
