// Public checkpoints, in whatever format they come: named tensors that can be read as f32, part by
// part.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "parley/core/model/whisper.h"
#include "parley/core/nn/tensor.h"

namespace parley::stage {

// A tensor of a checkpoint, under our name ("encoder.conv1.weight").
class SourceTensor {
 public:
  virtual ~SourceTensor() = default;
  virtual nn::Shape shape() const = 0;
  // The type that stores the tensor without loss: f32, f16, or bf16; f32 for quantized ones.
  virtual nn::DType dtype() const = 0;
  // Elements [first, first + out.size()) in row-major order. `first` must be a multiple of
  // kReadAlignment.
  virtual void read(int64_t first, std::span<float> out) const = 0;

  static constexpr int64_t kReadAlignment = 256;  // whole blocks of every quantized type
};

// A tensor that was computed from others (folded normalization), held in memory.
class ComputedTensor : public SourceTensor {
 public:
  ComputedTensor(const nn::Shape& shape, std::vector<float> values)
      : shape_(shape), values_(std::move(values)) {}
  nn::Shape shape() const override { return shape_; }
  nn::DType dtype() const override { return nn::DType::kF32; }
  void read(int64_t first, std::span<float> out) const override {
    std::copy_n(values_.begin() + first, out.size(), out.begin());
  }

 private:
  nn::Shape shape_;
  std::vector<float> values_;
};

// All values of a tensor whose shape has been checked.
inline std::vector<float> values_of(const SourceTensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.shape().elements()));
  tensor.read(0, values);
  return values;
}

// What every conversion needs to know about a checkpoint.
struct Checkpoint {
  std::shared_ptr<const void> storage;  // what the tensors read from
  std::string where;                    // path, for messages
  std::string format;                   // "huggingface", "openai", "ggml"
  // By our names: "<stage>.<tensor>".
  std::map<std::string, std::unique_ptr<SourceTensor>> tensors;
  std::vector<std::filesystem::path> files;  // the weights, for the digest of the source
  std::string licence;
};

struct WhisperCheckpoint : Checkpoint {
  WhisperDims dims;
  // Generation facts as in generation_config.json; absent ones are derived (whisper_generation.h).
  nlohmann::json generation = nlohmann::json::object();
  // Byte tokens in the order of their ids, when the checkpoint itself holds its vocabulary (ggml).
  std::vector<std::string> vocabulary;
  // The same by name, in the byte-level alphabet, with merges, each "left right" (GGUF).
  std::vector<std::string> token_names;
  std::vector<std::string> merges;
};

}  // namespace parley::stage
