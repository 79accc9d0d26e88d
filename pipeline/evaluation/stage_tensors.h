// What goes into the stages of a model and what comes out of them, by name: "<stage>.<output>"
// (docs/formats.md, "Golden tensors").
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/nn/tensor.h"

namespace parley::pipeline {

enum class TensorRole { kInput, kOutput, kLayer };

struct StageTensor {
  std::string name;
  nn::Shape shape;            // [rows, columns], or [rows]
  std::vector<float> values;  // integers too: ids are far below 2^24
  TensorRole role = TensorRole::kOutput;

  nn::Tensor view() const { return {const_cast<float*>(values.data()), shape, nn::DType::kF32}; }
};

class StageTensors {
 public:
  // Replaces a tensor of the same name. Others stay where they are in memory.
  void set(StageTensor tensor);
  // Rows of f32, bf16 or f16, put below those that the tensor has already.
  void append(const std::string& name, const nn::Tensor& rows, TensorRole role);
  const StageTensor* find(std::string_view name) const;  // or null
  const std::deque<StageTensor>& all() const { return tensors_; }

 private:
  StageTensor* find_for_change(std::string_view name);

  std::deque<StageTensor> tensors_;  // which never moves what it holds
};

// The tensors of a safetensors file, of any of its numeric types, as f32. Throws Error naming the
// file and the tensor at fault.
StageTensors read_golden(const std::filesystem::path& path);

// How far a tensor is from what was expected.
struct TensorError {
  std::string name;
  TensorRole role = TensorRole::kOutput;
  nn::Shape shape;            // of what was compared
  double max_error = 0;       // the largest |actual - expected|; infinite where one is not finite
  double relative_error = 0;  // |actual - expected| / |expected|, Euclidean norms
};

// Every output and layer of `actual` that `expected` has, in the order of `actual`. An expected
// tensor with fewer rows holds every n-th of them. Throws Error when shapes do not fit, or nothing
// can be compared.
std::vector<TensorError> compare(const StageTensors& actual, const StageTensors& expected);

// 10 log10 of the energy of `expected` over that of the difference, in dB; infinite when there is
// none. Compares what both have.
double signal_to_noise(std::span<const float> actual, std::span<const float> expected);

}  // namespace parley::pipeline
