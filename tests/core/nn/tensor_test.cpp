#include "parley/core/nn/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace parley::nn {
namespace {

TEST(Half, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_f32(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      ASSERT_EQ(f32_to_f16(value), half) << bits;
      ASSERT_EQ(value, static_cast<float>(std::bit_cast<_Float16>(half)))
          << bits;  // the compiler's own conversion
    }
  }
}

TEST(Half, RoundsToNearestEvenAsTheCompilerDoes) {
  for (uint32_t bits = 0; bits < 0xffff0000u; bits += 40503) {
    const auto value = std::bit_cast<float>(bits);
    if (std::isnan(value)) continue;
    ASSERT_EQ(f32_to_f16(value), std::bit_cast<uint16_t>(static_cast<_Float16>(value))) << value;
  }
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000u)),
            0x3f80);  // a tie goes to the even neighbour
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Tensor, ConvertsElementsAtOddAddresses) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::byte bytes[1 + sizeof(float)] = {};
    const uint16_t half = dtype == DType::kF16 ? f32_to_f16(1.5f) : f32_to_bf16(1.5f);
    const float whole = 1.5f;
    if (dtype == DType::kF32)
      std::memcpy(bytes + 1, &whole, sizeof whole);
    else
      std::memcpy(bytes + 1, &half, sizeof half);
    float value = 0;
    to_f32(bytes + 1, dtype, 1, &value);
    EXPECT_EQ(value, 1.5f);
  }
}

TEST(Tensor, SlicesRows) {
  float values[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const Tensor matrix(values, {4, 3}, DType::kF32);
  const Tensor slice = matrix.slice_rows(1, 2);
  EXPECT_EQ(slice.shape, (Shape{2, 3}));
  EXPECT_EQ(slice.row(1)[2], 8);
}

}  // namespace
}  // namespace parley::nn
