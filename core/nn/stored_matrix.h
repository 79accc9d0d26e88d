// Matrices as model files store them: floats, or compressed to 8 bits a weight and fewer
// (docs/formats.md, "Compressed weights").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "parley/core/nn/tensor.h"

namespace parley::nn {

enum class Storage {
  kFloat,      // f32, f16 or bf16
  kInt8,       // w = scale * q, q in [-128, 127]; a scale for each output
  kInt8Block,  // the same; a scale for each 32 inputs of an output
  kInt4,       // q in [-8, 7]; a scale for each output
  kInt4Block,  // the same; a scale for each 32 inputs of an output
  kPalette4,   // w = scale * palette[q]; a scale for each output, a palette for each 16 outputs
  kPalette6,
  kPalette8,
};
inline constexpr Storage kStorages[] = {
    Storage::kFloat,     Storage::kInt8,     Storage::kInt8Block, Storage::kInt4,
    Storage::kInt4Block, Storage::kPalette4, Storage::kPalette6,  Storage::kPalette8};
inline constexpr int64_t kScaleBlock = 32;    // inputs that share a scale
inline constexpr int64_t kPaletteGroup = 16;  // outputs that share a palette

// "float", "int8", "int8_block32", "int4", "int4_block32", "palette4", "palette6", "palette8".
std::string_view name_of(Storage storage);
std::optional<Storage> storage_named(std::string_view name);
int bits_of(Storage storage);  // of one packed weight; 0 for kFloat
bool is_palette(Storage storage);
bool has_blocks(Storage storage);

// What the parts of a compressed matrix [outputs, inputs] look like.
struct StorageLayout {
  DType scale_type;  // f16 for blocks and 4-bit integers, else f32
  Shape data;        // u8: a row is whole bytes, its weights lie in them from the lowest bit up
  Shape scale;       // [outputs] or [outputs, blocks]
  Shape palette;     // f16 [groups, 2^bits]; empty without palette
};
StorageLayout layout_of(Storage storage, int64_t outputs, int64_t inputs);

// A view of memory that somebody else owns.
struct StoredMatrix {
  Tensor data;  // kFloat: contiguous, of `shape`; else as StorageLayout says
  Shape shape;  // [outputs, inputs], or a convolution's [outputs, channels, kernel]
  Storage storage = Storage::kFloat;
  Tensor scale;
  Tensor palette;

  StoredMatrix() = default;
  StoredMatrix(const Tensor& floats) : data(floats), shape(floats.shape) {}  // NOLINT: is a matrix

  explicit operator bool() const { return static_cast<bool>(data); }
  int64_t outputs() const { return shape[0]; }
  int64_t inputs() const { return shape.rank() ? shape.elements() / shape[0] : 0; }
};
// Throws Error when the parts have other types or shapes than the storage asks for.
void check(const StoredMatrix& matrix);

// One row as f32 [inputs].
void dequantize_row(const StoredMatrix& matrix, int64_t row, float* out);
// One row of a compressed matrix as it is stored: signed integers, or palette indices.
void unpack_row(const StoredMatrix& matrix, int64_t row, int8_t* out);
// Packs a row: `bits` (4, 6 or 8) of each of `values`, from the lowest bit up.
void pack_row(const int8_t* values, int64_t inputs, int bits, uint8_t* out);

}  // namespace parley::nn
