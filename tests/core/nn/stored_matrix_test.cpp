#include "parley/core/nn/stored_matrix.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "parley/core/base/error.h"

namespace parley::nn {
namespace {

TEST(StoredMatrix, RowsUnpackToWhatWasPacked) {
  std::mt19937 generator(3);
  for (const Storage storage : {Storage::kInt8, Storage::kInt4, Storage::kPalette4,
                                Storage::kPalette6, Storage::kPalette8}) {
    const int bits = bits_of(storage);
    const bool is_signed = !is_palette(storage);
    for (const int64_t inputs : {1, 2, 3, 4, 5, 31, 32, 33}) {
      std::vector<int8_t> values(static_cast<size_t>(inputs));
      for (int8_t& value : values) {
        const auto bits_value = static_cast<int>(generator() % (1u << bits));
        value = static_cast<int8_t>(is_signed ? bits_value - (1 << (bits - 1)) : bits_value);
      }
      const StorageLayout layout = layout_of(storage, 1, inputs);
      std::vector<uint8_t> packed(static_cast<size_t>(layout.data.elements()), 0xff);
      pack_row(values.data(), inputs, bits, packed.data());
      StoredMatrix matrix;
      matrix.shape = {1, inputs};
      matrix.storage = storage;
      matrix.data = Tensor(packed.data(), layout.data, DType::kU8);
      std::vector<int8_t> back(values.size());
      unpack_row(matrix, 0, back.data());
      EXPECT_EQ(back, values) << name_of(storage) << " " << inputs;
    }
  }
}

TEST(StoredMatrix, NamesAreKnown) {
  for (const Storage storage : kStorages) EXPECT_EQ(storage_named(name_of(storage)), storage);
  EXPECT_FALSE(storage_named("int2"));
}

TEST(StoredMatrix, DequantizesByScaleBlockAndPalette) {
  std::vector<uint8_t> bytes(2 * 34);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7);
  std::vector<uint16_t> halves = {f32_to_f16(0.5f), f32_to_f16(2.f), f32_to_f16(4.f),
                                  f32_to_f16(8.f)};
  StoredMatrix blocks;
  blocks.shape = {2, 34};
  blocks.storage = Storage::kInt8Block;
  blocks.data = Tensor(bytes.data(), {2, 34}, DType::kU8);
  blocks.scale = Tensor(halves.data(), {2, 2}, DType::kF16);
  check(blocks);
  std::vector<float> row(34);
  dequantize_row(blocks, 1, row.data());
  EXPECT_EQ(row[0], 4.f * static_cast<int8_t>(34 * 7 % 256));
  EXPECT_EQ(row[33], 8.f * static_cast<int8_t>(67 * 7 % 256));

  std::vector<uint16_t> table(2 * 256);
  for (size_t i = 0; i < table.size(); ++i) table[i] = f32_to_f16(static_cast<float>(i));
  std::vector<uint8_t> indices(17 * 2, 200);
  std::vector<float> scales(17, 2.f);
  StoredMatrix palette;
  palette.shape = {17, 2};
  palette.storage = Storage::kPalette8;
  palette.data = Tensor(indices.data(), {17, 2}, DType::kU8);
  palette.scale = Tensor(scales.data(), {17}, DType::kF32);
  palette.palette = Tensor(table.data(), {2, 256}, DType::kF16);
  check(palette);
  dequantize_row(palette, 16, row.data());
  EXPECT_EQ(row[1], 2.f * 456.f);
}

TEST(StoredMatrix, RefusesPartsThatDoNotFit) {
  std::vector<uint8_t> bytes(64);
  std::vector<float> scales(8, 1.f);
  StoredMatrix good;
  good.shape = {8, 8};
  good.storage = Storage::kInt8;
  good.data = Tensor(bytes.data(), {8, 8}, DType::kU8);
  good.scale = Tensor(scales.data(), {8}, DType::kF32);
  check(good);
  const auto refused = [&](auto change) {
    StoredMatrix bad = good;
    change(bad);
    EXPECT_THROW(check(bad), Error);
  };
  refused([](StoredMatrix& m) { m.shape = {8, 9}; });
  refused([](StoredMatrix& m) { m.shape = {64}; });
  refused([](StoredMatrix& m) { m.scale = {}; });
  refused([](StoredMatrix& m) { m.scale.dtype = DType::kF16; });
  refused([](StoredMatrix& m) { m.data.dtype = DType::kI8; });
  refused([](StoredMatrix& m) { m.storage = Storage::kInt8Block; });
  refused([](StoredMatrix& m) { m.storage = Storage::kInt4; });
  refused([](StoredMatrix& m) { m.storage = Storage::kPalette8; });
  refused([](StoredMatrix& m) { m.storage = Storage::kFloat; });
}

}  // namespace
}  // namespace parley::nn
