#include "parley/core/nn/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "parley/core/nn/cpu/isa.h"
#include "parley/tests/core/nn/random.h"

namespace parley::nn {
namespace {

struct Case {
  ConvolutionShape shape;
  DType type = DType::kF32;
};

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  const ConvolutionShape& s = info.param.shape;
  return std::string(name_of(info.param.type)) + "_" + std::to_string(s.inputs) + "to" +
         std::to_string(s.outputs) + "_kernel" + std::to_string(s.kernel) + "_dilation" +
         std::to_string(s.dilation) + "_rows" + std::to_string(s.rows);
}

float rounded(float value, DType type) {
  return type == DType::kBF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

class Convolutions : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().type == DType::kBF16 && isa() < Isa::kAvx512)
      GTEST_SKIP() << "bf16 needs AVX-512";
    const ConvolutionShape& s = GetParam().shape;
    weight = test::random_values(static_cast<size_t>(s.outputs * s.inputs * s.kernel), 1,
                                 1 / std::sqrt(static_cast<float>(s.inputs * s.kernel)));
    bias = test::random_values(static_cast<size_t>(s.outputs), 2);
    x = test::random_values(static_cast<size_t>(s.input_rows() * padded_channels(s.inputs)), 3);
    for (int64_t r = 0; r < s.input_rows(); ++r) {
      for (int64_t c = s.inputs; c < padded_channels(s.inputs); ++c) at(x, r, c, s.inputs) = 0;
    }
    stride = padded_channels(s.outputs);
    residual = test::random_values(static_cast<size_t>(s.rows * stride), 4);
  }

  static float& at(std::vector<float>& values, int64_t row, int64_t column, int64_t channels) {
    return values[static_cast<size_t>(row * padded_channels(channels) + column)];
  }

  double expected(int64_t t, int64_t n) {
    const ConvolutionShape& s = GetParam().shape;
    double sum = bias[static_cast<size_t>(n)];
    for (int64_t c = 0; c < s.inputs; ++c) {
      for (int64_t k = 0; k < s.kernel; ++k) {
        const float w = weight[static_cast<size_t>((n * s.inputs + c) * s.kernel + k)];
        sum += static_cast<double>(rounded(w, GetParam().type)) *
               rounded(at(x, t + k * s.dilation, c, s.inputs), GetParam().type);
      }
    }
    return sum;
  }

  void run(const ConvolutionEpilogue& epilogue) {
    const auto& [shape, type] = GetParam();
    ThreadTeam team(2);
    const Convolution convolution(shape,
                                  test::view(weight, {shape.outputs, shape.inputs, shape.kernel}),
                                  test::view(bias, {shape.outputs}), type, team);
    // What lies behind the input and in the scratch must not matter.
    std::vector<float> input = x;
    input.resize(x.size() + 4096, std::numeric_limits<float>::quiet_NaN());
    std::vector<uint16_t> halves;
    for (const float value : input) halves.push_back(f32_to_bf16(value));
    Buffer scratch = Buffer::uninitialized(convolution.scratch_bytes());
    std::fill_n(scratch.as<float>(), scratch.size() / sizeof(float),
                std::numeric_limits<float>::quiet_NaN());
    const void* data =
        type == DType::kBF16 ? static_cast<const void*>(halves.data()) : input.data();
    for (int64_t group = 0; group < convolution.groups(); ++group)
      convolution.run(data, group, epilogue, scratch.data());
  }

  std::vector<float> weight, bias, x, residual;
  int64_t stride = 0;
};

TEST_P(Convolutions, EqualThePlainSum) {
  const ConvolutionShape& s = GetParam().shape;
  std::vector<float> sum(static_cast<size_t>(s.rows * stride));
  run({.sum = sum.data(), .stride = stride});
  const double tolerance = GetParam().type == DType::kBF16 ? 1e-4 : 2e-5;
  for (int64_t t = 0; t < s.rows; ++t) {
    for (int64_t n = 0; n < s.outputs; ++n)
      ASSERT_NEAR(at(sum, t, n, s.outputs), expected(t, n), tolerance) << t << ", " << n;
    for (int64_t n = s.outputs; n < stride; ++n) ASSERT_EQ(at(sum, t, n, s.outputs), 0);
  }
}

TEST_P(Convolutions, AddAndActivate) {
  const ConvolutionShape& s = GetParam().shape;
  const size_t size = static_cast<size_t>(s.rows * stride);
  std::vector<float> sum(size), activated(size);
  std::vector<uint16_t> halves(size);
  run({.add = {residual.data(), residual.data()},
       .sum = sum.data(),
       .activated = activated.data(),
       .slope = 0.1f,
       .stride = stride});
  run({.add = {residual.data(), residual.data()},
       .activated = halves.data(),
       .activated_type = DType::kBF16,
       .slope = 0.1f,
       .stride = stride});
  for (int64_t t = 0; t < s.rows; ++t) {
    for (int64_t n = 0; n < s.outputs; ++n) {
      const auto i = static_cast<size_t>(t * stride + n);
      ASSERT_NEAR(sum[i], expected(t, n) + 2 * residual[i], 1e-4);
      ASSERT_EQ(activated[i], std::max(sum[i], 0.1f * sum[i]));
      ASSERT_EQ(halves[i], f32_to_bf16(activated[i]));
    }
  }
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const DType type : {DType::kF32, DType::kBF16}) {
    for (const int64_t kernel : {3, 7, 11}) {
      for (const int64_t dilation : {1, 3, 5}) {
        list.push_back(
            {{.inputs = 32, .outputs = 32, .kernel = kernel, .dilation = dilation, .rows = 60},
             type});
      }
    }
    list.push_back({{.inputs = 20, .outputs = 40, .kernel = 7, .dilation = 1, .rows = 30}, type});
    list.push_back({{.inputs = 16, .outputs = 1, .kernel = 7, .dilation = 1, .rows = 33}, type});
    list.push_back({{.inputs = 48, .outputs = 160, .kernel = 2, .dilation = 1, .rows = 15}, type});
    list.push_back({{.inputs = 16, .outputs = 272, .kernel = 3, .dilation = 2, .rows = 29}, type});
    list.push_back({{.inputs = 24, .outputs = 24, .kernel = 5, .dilation = 12, .rows = 50}, type});
    list.push_back({{.inputs = 8, .outputs = 8, .kernel = 1, .dilation = 1, .rows = 1}, type});
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Convolutions, testing::ValuesIn(cases()), name_of_case);

}  // namespace
}  // namespace parley::nn
