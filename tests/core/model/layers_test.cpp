#include "parley/core/model/layers.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "parley/core/base/error.h"
#include "parley/core/nn/context.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

// Two matrices [32, 16] whose values tell where they stand, a bias, and integers.
class LayerReaderTest : public testing::Test {
 protected:
  LayerReaderTest() {
    const std::vector<TensorInfo> tensors = {{"a.weight", nn::DType::kF32, {32, 16}},
                                             {"b.weight", nn::DType::kF32, {32, 16}},
                                             {"b.bias", nn::DType::kF32, {32}},
                                             {"ids.weight", nn::DType::kI32, {32, 16}}};
    SafetensorsWriter writer(path_, tensors);
    for (const TensorInfo& tensor : writer.order()) {
      std::vector<float> values(static_cast<size_t>(tensor.shape.elements()));
      std::iota(values.begin(), values.end(), tensor.name == "a.weight" ? 0.f : 100.f);
      for (float& value : values) value /= 64;
      writer.write(tensor.name, std::as_bytes(std::span(values)));
    }
    writer.commit();
    weights_ = Safetensors(path_);
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "weights.safetensors";
  Safetensors weights_;
  nn::Context ctx_{{.threads = 1}};
};

TEST_F(LayerReaderTest, PackedPartsGiveTheirProductsSideBySide) {
  const LayerReader read(weights_, ctx_.team());
  const nn::Weight both = read.pack(
      {read.part("a", 32, 16, /*bias=*/false), read.part("b", 32, 16)}, nn::Compute::kF32Few);
  const nn::Weight second = read.linear("b", 32, 16, nn::Compute::kF32Few);
  std::vector<float> input(16, 0.f);
  input[3] = 1;
  const nn::Tensor x(input.data(), {1, 16}, nn::DType::kF32);
  const nn::Tensor y = nn::linear(ctx_, both, x);
  const nn::Tensor z = nn::linear(ctx_, second, x);
  ASSERT_EQ(y.cols(), 64);
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(y.f32()[i], static_cast<float>(i * 16 + 3) / 64);
    EXPECT_EQ(z.f32()[i], static_cast<float>(200 + i * 17 + 3) / 64);  // weight and bias
    EXPECT_EQ(y.f32()[32 + i], z.f32()[i]);
  }
}

TEST_F(LayerReaderTest, RefusesIntegersOtherShapesAndMissingTensors) {
  const LayerReader read(weights_, ctx_.team());
  EXPECT_THROW(read.f32("ids.weight", {32, 16}), Error);
  EXPECT_THROW(read.part("ids", 32, 16, /*bias=*/false), Error);
  EXPECT_THROW(read.f32("a.weight", {16, 32}), Error);
  EXPECT_THROW(read.part("a", 32, 16), Error);  // has no bias
  EXPECT_EQ(read.f32("a.weight", {32, 16}).as<float>()[17], 17.f / 64);
}

}  // namespace
}  // namespace parley::stage
