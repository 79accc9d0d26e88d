// Which of its implementations oneDNN chooses: a combination that none of the optimized ones takes
// falls back to a reference implementation, right and forty times too slow. Nothing is computed
// here; tests/core/nn/CMakeLists.txt runs this once for each instruction set.
#include "parley/core/nn/cpu/onednn.h"

#include <gtest/gtest.h>

#include "parley/core/nn/cpu/isa.h"

namespace parley::nn {
namespace {

using onednn::Convolution;
using onednn::Matrix;
using onednn::Product;

void expect_fast(const std::string& implementation, const std::string& what) {
  EXPECT_EQ(implementation.find("ref"), std::string::npos)
      << what << " is computed by " << implementation << " on " << name_of(isa());
}

struct Layer {
  std::string name;
  int64_t inputs, outputs;
  Matrix::Options options = {};
};

constexpr float kBias = 0;

void expect_fast(const std::string& model, const std::vector<Layer>& layers,
                 std::initializer_list<int64_t> row_counts) {
  for (const Layer& layer : layers) {
    for (const int64_t rows : row_counts) {
      const Matrix::Shapes shapes{.rows = rows,
                                  .inputs = layer.inputs,
                                  .outputs = layer.outputs,
                                  .out = layer.options.accumulate ? DType::kF32 : DType::kBF16};
      expect_fast(Matrix::implementation(shapes, layer.options),
                  model + " " + layer.name + ", " + std::to_string(rows) + " rows");
    }
  }
}

struct WhisperSize {
  const char* name;
  int64_t d_model, mels;
};
constexpr WhisperSize kWhisperSizes[] = {
    {"tiny", 384, 80},   {"base", 512, 80},       {"small", 768, 80},  {"medium", 1024, 80},
    {"large", 1280, 80}, {"large-v3", 1280, 128}, {"turbo", 1280, 128}};

TEST(OneDnn, MultipliesNoLayerOfWhisperByAReferenceImplementation) {
  if (isa() < Isa::kAvx512) GTEST_SKIP() << "bf16 needs AVX-512";
  for (const auto& [name, d, mels] : kWhisperSizes) {
    expect_fast(name,
                {{"conv1", 3 * mels, d, {.bias = &kBias, .gelu = true}},
                 {"conv2", 3 * d, d, {.bias = &kBias, .gelu = true, .accumulate = true}},
                 {"self_attn.qkv", d, 3 * d, {.bias = &kBias}},
                 {"self_attn.out_proj", d, d, {.bias = &kBias, .accumulate = true}},
                 {"fc1", d, 4 * d, {.bias = &kBias, .gelu = true}},
                 {"fc2", 4 * d, d, {.bias = &kBias, .accumulate = true}},
                 {"encoder_attn.kv", d, 2 * d, {.bias = &kBias}}},
                {192, 3000 % 192, 1500 % 192});
  }
}

TEST(OneDnn, MultipliesNoLayerOfSpeechT5ByAReferenceImplementation) {
  if (isa() < Isa::kAvx512) GTEST_SKIP() << "bf16 needs AVX-512";
  expect_fast("speecht5",
              {{"self_attn.qkv", 768, 3 * 768, {.bias = &kBias}},
               {"self_attn.out_proj", 768, 768, {.bias = &kBias, .accumulate = true}},
               {"fc1", 768, 3072, {.bias = &kBias, .gelu = true}},
               {"fc2", 3072, 768, {.bias = &kBias, .accumulate = true}},
               {"encoder_attn.kv", 768, 2 * 768, {.bias = &kBias}},
               {"postnet.first", 5 * 80, 256, {.bias = &kBias}},
               {"postnet.middle", 5 * 256, 256, {.bias = &kBias}},
               {"postnet.last", 5 * 256, 80, {.bias = &kBias}}},
              {1, 2, 7, 50, 192});
}

TEST(OneDnn, ComputesNoAttentionByAReferenceImplementation) {
  if (isa() < Isa::kAvx512) GTEST_SKIP() << "bf16 needs AVX-512";
  for (const auto& [name, d, mels] : kWhisperSizes) {
    const Product score({.m = 160,
                         .n = 1500,
                         .k = 64,
                         .a_stride = 3 * d,
                         .b_row_stride = 1,
                         .b_column_stride = 3 * d,
                         .c_type = DType::kF32,
                         .c_stride = 1504});
    const Product mix({.m = 160,
                       .n = 64,
                       .k = 1500,
                       .a_stride = 1504,
                       .b_row_stride = 3 * d,
                       .b_column_stride = 1,
                       .c_type = DType::kF32,
                       .c_stride = 64});
    expect_fast(score.implementation(), std::string(name) + " scores");
    expect_fast(mix.implementation(), std::string(name) + " values");
  }
}

// Of SpeechT5's HiFi-GAN and of the published generators V1, V2 and V3, whose channels halve from
// level to level.
TEST(OneDnn, ConvolvesNoLayerOfHifiGanByAReferenceImplementation) {
  if (isa() < Isa::kAvx512) GTEST_SKIP() << "bf16 needs AVX-512";
  const auto convolution = [](int64_t rows, int64_t inputs, int64_t outputs, int64_t kernel,
                              int64_t dilation) {
    expect_fast(Convolution::implementation({.rows = rows,
                                             .inputs = inputs,
                                             .outputs = outputs,
                                             .kernel = kernel,
                                             .dilation = dilation}),
                "hifigan " + std::to_string(inputs) + " to " + std::to_string(outputs) +
                    ", kernel " + std::to_string(kernel) + ", dilation " +
                    std::to_string(dilation));
  };
  for (const int64_t channels : {512, 256, 128, 64, 32, 16}) {
    for (const int64_t rows : {30, 60, 120, 240, 480}) {
      const int64_t group = std::min<int64_t>(channels, 128);
      for (const int64_t kernel : {3, 5, 7, 11}) {
        for (const int64_t dilation : {1, 2, 3, 5, 6, 12})
          convolution(rows, channels, group, kernel, dilation);
      }
      convolution(rows, channels, 128, 2, 1);  // upsampling: several outputs side by side
      convolution(rows, channels, 64, 2, 1);
      convolution(rows, channels, 16, 7, 1);  // to samples
    }
  }
  convolution(30, 80, 128, 7, 1);
}

}  // namespace
}  // namespace parley::nn
