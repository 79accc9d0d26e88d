// From a stage's tensors to layers packed for this CPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/model/safetensors.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/packing.h"
#include "parley/core/nn/weight.h"

namespace parley::stage {

// Reads layers under the names that checkpoints use: "<name>.weight", "<name>.bias". The pages of a
// matrix are given back once it is packed, all others with the reader. Every function throws Error
// naming the file and the tensor when that is missing, of another shape, or neither floats nor
// compressed as the manifest says.
class LayerReader {
 public:
  // What they refer to must outlive the reader.
  LayerReader(const Stage& stage, const nn::Packing& packing)
      : stage_(&stage), weights_(stage.weights()), packing_(packing) {}
  // The name of a layer as --keep calls it, for whoever watches: "encoder.layers.0.fc1".
  std::string full_name(const std::string& layer) const {
    return stage_ ? stage_->name() + "." + layer : layer;
  }
  // Weights of which none are compressed.
  LayerReader(const Safetensors& weights, const nn::Packing& packing)
      : weights_(weights), packing_(packing) {}
  ~LayerReader() { weights_.release(); }
  LayerReader(const LayerReader&) = delete;
  LayerReader& operator=(const LayerReader&) = delete;

  nn::LayerNorm norm(const std::string& name, int64_t size) const;

  // Part of a matrix that is packed from several.
  nn::WeightSource::Part part(const std::string& name, int64_t outputs, int64_t inputs,
                              bool bias = true) const;
  nn::Weight pack(std::vector<nn::WeightSource::Part> parts, nn::Compute compute) const;
  nn::Weight linear(const std::string& name, int64_t outputs, int64_t inputs,
                    nn::Compute compute) const {
    return pack({part(name, outputs, inputs)}, compute);
  }

  struct ConvSize {
    int64_t outputs;
    int64_t inputs;
    int64_t kernel;
    int64_t stride = 1;
    int64_t padding = 0;
  };
  nn::Conv1d conv1d(const std::string& name, const ConvSize& size, nn::Compute compute) const;

  // The matrix or convolution `name` (the whole name) as it lies in the file, floats or compressed.
  nn::StoredMatrix matrix(const std::string& name, const nn::Shape& shape) const;
  // The same for what cannot be compressed: f32, f16 or bf16.
  nn::Tensor floats(const std::string& name, const nn::Shape& shape) const;
  // A copy of it as f32.
  nn::Buffer f32(const std::string& name, const nn::Shape& shape) const;

 private:
  void check_floats(const nn::Tensor& tensor, const std::string& name) const;

  const Stage* stage_ = nullptr;
  const Safetensors& weights_;
  nn::Packing packing_;
};

}  // namespace parley::stage
