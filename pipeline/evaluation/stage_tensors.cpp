#include "parley/pipeline/evaluation/stage_tensors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parley/core/base/error.h"
#include "parley/core/model/safetensors.h"

namespace parley::pipeline {

namespace {

using nn::DType;
using nn::Shape;
using nn::Tensor;

// The elements of a tensor without gaps, appended.
void append_f32(const Tensor& tensor, std::vector<float>& out) {
  const auto cols = static_cast<size_t>(tensor.cols());
  const size_t before = out.size();
  out.resize(before + static_cast<size_t>(tensor.rows()) * cols);
  const int64_t row_bytes = tensor.row_stride * static_cast<int64_t>(nn::size_of(tensor.dtype));
  for (int64_t r = 0; r < tensor.rows(); ++r) {
    nn::to_f32(tensor.as<std::byte>() + r * row_bytes, tensor.dtype, cols,
               out.data() + before + static_cast<size_t>(r) * cols);
  }
}

template <class Integer>
void append_integers(const Tensor& tensor, std::vector<float>& out) {
  const Integer* values = tensor.as<Integer>();
  out.insert(out.end(), values, values + tensor.shape.elements());
}

StageTensor as_f32(const std::string& name, const Tensor& tensor) {
  StageTensor result{.name = name, .shape = tensor.shape, .values = {}};
  switch (tensor.dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
      append_f32(tensor, result.values);
      break;
    case DType::kI8:
      append_integers<int8_t>(tensor, result.values);
      break;
    case DType::kU8:
      append_integers<uint8_t>(tensor, result.values);
      break;
    case DType::kI32:
      append_integers<int32_t>(tensor, result.values);
      break;
    case DType::kI64:
      append_integers<int64_t>(tensor, result.values);
      break;
  }
  return result;
}

// Sums over pairs of elements.
struct Difference {
  double largest = 0;
  double squares = 0;  // of the differences
  double energy = 0;   // of what is expected

  void add(float actual, float expected) {
    const double difference = std::abs(static_cast<double>(actual) - expected);
    largest = std::max(
        largest, std::isfinite(difference) ? difference : std::numeric_limits<double>::infinity());
    squares += difference * difference;
    energy += static_cast<double>(expected) * expected;
  }
  double relative() const {
    if (!std::isfinite(largest)) return largest;
    if (energy > 0) return std::sqrt(squares / energy);
    return squares > 0 ? std::numeric_limits<double>::infinity() : 0;
  }
};

TensorError error_of(const StageTensor& actual, const StageTensor& expected) {
  const Tensor a = actual.view();
  const Tensor e = expected.view();
  const auto dims_agree = [&] {
    if (actual.shape.rank() != expected.shape.rank()) return false;
    for (int axis = 1; axis < actual.shape.rank(); ++axis)
      if (actual.shape[axis] != expected.shape[axis]) return false;
    return true;
  };
  const int64_t rows = actual.shape.rank() > 0 ? actual.shape[0] : 1;
  const int64_t stored = expected.shape.rank() > 0 ? expected.shape[0] : 1;
  if (!dims_agree() || stored < 1 || rows % stored != 0) {
    throw Error(actual.name, "is " + actual.shape.str() + " here and " + expected.shape.str() +
                                 " in what it is compared with");
  }
  const int64_t every = rows / stored;
  const int64_t size = stored > 0 ? expected.shape.elements() / stored : 0;
  Difference difference;
  for (int64_t r = 0; r < stored; ++r) {
    for (int64_t i = 0; i < size; ++i)
      difference.add(a.f32()[r * every * size + i], e.f32()[r * size + i]);
  }
  return {.name = actual.name,
          .role = actual.role,
          .shape = expected.shape,
          .max_error = difference.largest,
          .relative_error = difference.relative()};
}

}  // namespace

void StageTensors::set(StageTensor tensor) {
  if (StageTensor* old = find_for_change(tensor.name)) {
    *old = std::move(tensor);
  } else {
    tensors_.push_back(std::move(tensor));
  }
}

void StageTensors::append(const std::string& name, const Tensor& rows, TensorRole role) {
  StageTensor* tensor = find_for_change(name);
  if (tensor == nullptr) {
    tensors_.push_back({.name = name, .shape = {0, rows.cols()}, .values = {}, .role = role});
    tensor = &tensors_.back();
  }
  append_f32(rows, tensor->values);
  tensor->shape = {tensor->shape[0] + rows.rows(), rows.cols()};
}

StageTensor* StageTensors::find_for_change(std::string_view name) {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const StageTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

const StageTensor* StageTensors::find(std::string_view name) const {
  return const_cast<StageTensors*>(this)->find_for_change(name);
}

StageTensors read_golden(const std::filesystem::path& path) {
  const stage::Safetensors file(path);
  StageTensors tensors;
  for (const std::string& name : file.names()) tensors.set(as_f32(name, file.tensor(name)));
  return tensors;
}

std::vector<TensorError> compare(const StageTensors& actual, const StageTensors& expected) {
  std::vector<TensorError> errors;
  for (const StageTensor& tensor : actual.all()) {
    if (tensor.role == TensorRole::kInput) continue;
    if (const StageTensor* other = expected.find(tensor.name))
      errors.push_back(error_of(tensor, *other));
  }
  if (errors.empty()) {
    throw Error("", "none of the tensors to compare with is an output of this model's stages",
                "see docs/formats.md, \"Golden tensors\", for their names");
  }
  return errors;
}

double signal_to_noise(std::span<const float> actual, std::span<const float> expected) {
  Difference difference;
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i)
    difference.add(actual[i], expected[i]);
  return 10 * std::log10(difference.energy / difference.squares);
}

}  // namespace parley::pipeline
