// A model folder made smaller (docs/formats.md, "Compressed weights").
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/core/model/model.h"
#include "parley/core/nn/stored_matrix.h"

namespace parley::stage {

// How one tensor is to be stored: floats of `floats`, or compressed.
struct TensorStorage {
  nn::Storage storage = nn::Storage::kFloat;
  nn::DType floats = nn::DType::kF16;  // of kFloat: f16 or f32

  bool operator==(const TensorStorage&) const = default;
};
// "f16", "f32", or a name of nn::Storage; throws Error for others.
TensorStorage tensor_storage_named(const std::string& name);

struct KeepRule {
  std::string pattern;  // ECMAScript regular expression, searched in "decoder.layers.0.fc1.weight"
  TensorStorage storage;
};

struct CompressOptions {
  TensorStorage weights = {nn::Storage::kInt8};
  std::vector<KeepRule> keep = {};  // the first that matches a tensor decides
  int threads = 0;                  // 0: all processors
  std::function<void(const ConvertProgress&)> progress = {};  // after each tensor
};

// Writes `model` to `destination` with the matrices of its linear layers stored as
// `options.weights`: those of Whisper's stages, SpeechT5's text encoder and mel decoder. What
// `keep` does not name stays wide where narrow does harm: vectors and position embeddings as they
// are; convolutions, what a mel decoder reads frames with and writes them, and vocoders f16. The
// token embedding, which is also the output matrix, is stored in 4 bits only with int4 in blocks,
// where that costs no words.
//
// The folder appears complete or not at all, as with convert(). Throws Error, also when a rule of
// `keep` names no tensor.
void compress(const Model& model, const std::filesystem::path& destination,
              const CompressOptions& options);

}  // namespace parley::stage
