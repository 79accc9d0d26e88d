#include "parley/core/nn/stored_matrix.h"

#include <algorithm>
#include <array>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/kernels.h"

namespace parley::nn {

namespace {

int64_t row_bytes(Storage storage, int64_t inputs) { return (inputs * bits_of(storage) + 7) / 8; }

float element(const Tensor& floats, int64_t index) {
  return floats.dtype == DType::kF32 ? floats.f32()[index]
                                     : f16_to_f32(floats.as<uint16_t>()[index]);
}

int8_t sign_extended(int nibble) { return static_cast<int8_t>((nibble ^ 8) - 8); }

void unpack_six_bits(const uint8_t* packed, int64_t inputs, int8_t* out) {
  for (int64_t k = 0; k < inputs; ++k) {
    const int64_t bit = 6 * k;
    const int low = packed[bit / 8] >> (bit % 8);
    const int high = bit % 8 > 2 ? packed[bit / 8 + 1] << (8 - bit % 8) : 0;
    out[k] = static_cast<int8_t>((low | high) & 63);
  }
}

}  // namespace

std::string_view name_of(Storage storage) {
  switch (storage) {
    case Storage::kFloat:
      return "float";
    case Storage::kInt8:
      return "int8";
    case Storage::kInt8Block:
      return "int8_block32";
    case Storage::kInt4:
      return "int4";
    case Storage::kInt4Block:
      return "int4_block32";
    case Storage::kPalette4:
      return "palette4";
    case Storage::kPalette6:
      return "palette6";
    case Storage::kPalette8:
      return "palette8";
  }
  return "?";
}

std::optional<Storage> storage_named(std::string_view name) {
  for (const Storage storage : kStorages) {
    if (name_of(storage) == name) return storage;
  }
  return std::nullopt;
}

int bits_of(Storage storage) {
  switch (storage) {
    case Storage::kFloat:
      return 0;
    case Storage::kInt4:
    case Storage::kInt4Block:
    case Storage::kPalette4:
      return 4;
    case Storage::kPalette6:
      return 6;
    case Storage::kInt8:
    case Storage::kInt8Block:
    case Storage::kPalette8:
      return 8;
  }
  return 0;
}

bool is_palette(Storage storage) { return storage >= Storage::kPalette4; }

bool has_blocks(Storage storage) {
  return storage == Storage::kInt8Block || storage == Storage::kInt4Block;
}

StorageLayout layout_of(Storage storage, int64_t outputs, int64_t inputs) {
  const bool half = has_blocks(storage) || storage == Storage::kInt4;
  const int64_t blocks = (inputs + kScaleBlock - 1) / kScaleBlock;
  const int64_t groups = (outputs + kPaletteGroup - 1) / kPaletteGroup;
  return {.scale_type = half ? DType::kF16 : DType::kF32,
          .data = {outputs, row_bytes(storage, inputs)},
          .scale = has_blocks(storage) ? Shape{outputs, blocks} : Shape{outputs},
          .palette = is_palette(storage) ? Shape{groups, int64_t{1} << bits_of(storage)} : Shape{}};
}

void check(const StoredMatrix& matrix) {
  const auto fail = [&] {
    throw Error("weight", "the parts of a matrix " + matrix.shape.str() + " in " +
                              std::string(name_of(matrix.storage)) + " do not fit together");
  };
  if (matrix.shape.rank() < 2 || matrix.shape.elements() < 1 || !matrix) fail();
  if (matrix.storage == Storage::kFloat) {
    const DType type = matrix.data.dtype;
    const bool floats = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
    if (!floats || matrix.data.shape != matrix.shape) fail();
    return;
  }
  const StorageLayout layout = layout_of(matrix.storage, matrix.outputs(), matrix.inputs());
  if (matrix.data.dtype != DType::kU8 || matrix.data.shape != layout.data || !matrix.scale ||
      matrix.scale.dtype != layout.scale_type || matrix.scale.shape != layout.scale)
    fail();
  if (is_palette(matrix.storage) && (!matrix.palette || matrix.palette.dtype != DType::kF16 ||
                                     matrix.palette.shape != layout.palette))
    fail();
}

void unpack_row(const StoredMatrix& matrix, int64_t row, int8_t* out) {
  const int64_t inputs = matrix.inputs();
  const uint8_t* packed = matrix.data.as<uint8_t>() + row * row_bytes(matrix.storage, inputs);
  switch (bits_of(matrix.storage)) {
    case 8:
      std::copy_n(reinterpret_cast<const int8_t*>(packed), inputs, out);
      break;
    case 6:
      unpack_six_bits(packed, inputs, out);
      break;
    case 4:
      for (int64_t k = 0; k < inputs; ++k) {
        const int nibble = packed[k / 2] >> (4 * (k % 2)) & 15;
        out[k] = is_palette(matrix.storage) ? static_cast<int8_t>(nibble) : sign_extended(nibble);
      }
      break;
    default:
      break;
  }
}

void pack_row(const int8_t* values, int64_t inputs, int bits, uint8_t* out) {
  std::fill_n(out, (inputs * bits + 7) / 8, uint8_t{0});
  const int mask = (1 << bits) - 1;
  for (int64_t k = 0; k < inputs; ++k) {
    const int64_t bit = bits * k;
    const int value = (values[k] & mask) << (bit % 8);
    out[bit / 8] = static_cast<uint8_t>(out[bit / 8] | value);
    if (value > 255) out[bit / 8 + 1] = static_cast<uint8_t>(value >> 8);
  }
}

void dequantize_row(const StoredMatrix& matrix, int64_t row, float* out) {
  const int64_t inputs = matrix.inputs();
  if (matrix.storage == Storage::kFloat) {
    const Tensor& data = matrix.data;
    const auto* source =
        data.as<std::byte>() + row * inputs * static_cast<int64_t>(size_of(data.dtype));
    if (data.dtype == DType::kF16) {
      kernels::f16_to_f32_row(reinterpret_cast<const uint16_t*>(source), inputs, out);
    } else {
      to_f32(source, data.dtype, static_cast<size_t>(inputs), out);
    }
    return;
  }
  std::vector<int8_t> codes(static_cast<size_t>(inputs));
  unpack_row(matrix, row, codes.data());
  if (is_palette(matrix.storage)) {
    std::array<float, 256> palette{};
    const int64_t count = matrix.palette.shape[1];
    for (int64_t i = 0; i < count; ++i)
      palette[static_cast<size_t>(i)] = element(matrix.palette, row / kPaletteGroup * count + i);
    const float scale = element(matrix.scale, row);
    for (int64_t k = 0; k < inputs; ++k)
      out[k] = scale * palette[static_cast<uint8_t>(codes[static_cast<size_t>(k)])];
    return;
  }
  const int64_t block = has_blocks(matrix.storage) ? kScaleBlock : inputs;
  const int64_t blocks = (inputs + block - 1) / block;
  for (int64_t k = 0; k < inputs; k += block) {
    const float scale = element(matrix.scale, row * blocks + k / block);
    for (int64_t i = k; i < std::min(k + block, inputs); ++i)
      out[i] = scale * codes[static_cast<size_t>(i)];
  }
}

}  // namespace parley::nn
