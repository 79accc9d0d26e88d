#include "parley/core/model/layers.h"

#include <utility>

#include "parley/core/base/error.h"

namespace parley::stage {

nn::LayerNorm LayerReader::norm(const std::string& name, int64_t size) const {
  nn::LayerNorm norm =
      nn::LayerNorm::load(floats(name + ".weight", {size}), floats(name + ".bias", {size}));
  norm.name = full_name(name);
  return norm;
}

nn::WeightSource::Part LayerReader::part(const std::string& name, int64_t outputs, int64_t inputs,
                                         bool bias) const {
  return {matrix(name + ".weight", {outputs, inputs}),
          bias ? floats(name + ".bias", {outputs}) : nn::Tensor(), full_name(name)};
}

nn::Weight LayerReader::pack(std::vector<nn::WeightSource::Part> parts, nn::Compute compute) const {
  const nn::WeightSource source{std::move(parts)};
  nn::Weight weight(source, compute, packing_);
  for (const auto& part : source.parts) weights_.release(part.matrix);
  return weight;
}

nn::Conv1d LayerReader::conv1d(const std::string& name, const ConvSize& size,
                               nn::Compute compute) const {
  const nn::StoredMatrix kernel =
      matrix(name + ".weight", {size.outputs, size.inputs, size.kernel});
  nn::Conv1d conv = nn::Conv1d::pack(kernel, floats(name + ".bias", {size.outputs}), size.stride,
                                     size.padding, compute, packing_, full_name(name));
  weights_.release(kernel);
  return conv;
}

nn::StoredMatrix LayerReader::matrix(const std::string& name, const nn::Shape& shape) const {
  nn::StoredMatrix stored = stage_ ? stage_->matrix(name, shape) : weights_.tensor(name, shape);
  if (stored.storage == nn::Storage::kFloat) check_floats(stored.data, name);
  return stored;
}

nn::Tensor LayerReader::floats(const std::string& name, const nn::Shape& shape) const {
  const nn::Tensor tensor = weights_.tensor(name, shape);
  check_floats(tensor, name);
  return tensor;
}

void LayerReader::check_floats(const nn::Tensor& tensor, const std::string& name) const {
  if (tensor.dtype != nn::DType::kF32 && tensor.dtype != nn::DType::kF16 &&
      tensor.dtype != nn::DType::kBF16) {
    throw Error(weights_.where(), "tensor '" + name + "' is " +
                                      std::string(nn::name_of(tensor.dtype)) +
                                      ", not a floating-point type");
  }
}

nn::Buffer LayerReader::f32(const std::string& name, const nn::Shape& shape) const {
  const nn::Tensor tensor = floats(name, shape);
  const auto count = static_cast<size_t>(shape.elements());
  const size_t bytes = count * sizeof(float);
  const std::string key = full_name(name) + " f32";
  if (packing_.kept != nullptr) {
    std::vector<nn::Buffer> kept = packing_.kept->take(key, std::span(&bytes, 1));
    if (!kept.empty()) return std::move(kept[0]);
  }
  nn::Buffer copy = nn::Buffer::uninitialized(bytes);
  nn::to_f32(tensor.data, tensor.dtype, count, copy.as<float>());
  if (packing_.kept != nullptr) {
    std::vector<nn::Buffer> parts;
    parts.push_back(copy.share());
    packing_.kept->keep(key, std::move(parts));
  }
  return copy;
}

}  // namespace parley::stage
