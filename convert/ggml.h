// whisper.cpp's ggml-*.bin files (format: models/convert-pt-to-ggml.py there; block formats: ggml's
// ggml-common.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "parley/convert/checkpoint.h"

namespace parley::stage {

// The element types of ggml that Whisper files use, under ggml's numbers.
enum class GgmlType : int32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30
};

struct GgmlBlock {
  int64_t elements = 0;
  size_t bytes = 0;
};
// Elements and bytes of the smallest unit. Throws Error named by `where` for a type not listed
// above.
GgmlBlock ggml_block(int32_t type, const std::string& where);

// Whole blocks to f32: out.size() is a multiple of the block's elements, `blocks` has their bytes.
void dequantize(GgmlType type, std::span<const std::byte> blocks, std::span<float> out);

// A tensor whose blocks lie in `bytes`, which must be all of them and outlive it.
std::unique_ptr<SourceTensor> make_ggml_tensor(GgmlType type, const nn::Shape& shape,
                                               std::span<const std::byte> bytes);

// Throws Error naming the file and what is wrong with it.
WhisperCheckpoint open_ggml(const std::filesystem::path& path);
// The same over bytes that outlive the result.
WhisperCheckpoint parse_ggml(std::span<const std::byte> file, const std::string& where);

}  // namespace parley::stage
