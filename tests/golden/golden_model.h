// The tiny random checkpoints of tests/golden/whisper, converted, and what the reference computes
// with them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/core/nn/linear.h"
#include "parley/tests/support.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::test {

struct GoldenModel {
  std::unique_ptr<TemporaryFolder> folder = std::make_unique<TemporaryFolder>();
  std::filesystem::path source;
  stage::Model model;
  stage::Safetensors tensors;
  nlohmann::json facts;

  // name: "multilingual-80" or "english-128".
  explicit GoldenModel(const std::string& name)
      : source(source_path("tests/golden/whisper/" + name)),
        model(convert_and_open(source, folder->path() / name)),
        tensors(source / "golden.safetensors"),
        facts(nlohmann::json::parse(read_file(source / "golden.json", 1 << 20))) {}

  text::Tokenizer tokenizer() const {
    return text::Tokenizer::from_json(read_file(model.file("tokenizer.json"), 1 << 24),
                                      "tokenizer.json");
  }

  // The log-mel of a clip, [3000, n_mels] as our encoder takes it.
  std::vector<float> mel(const std::string& clip) const {
    const nn::Tensor stored = tensors.tensor("mel." + clip);  // [n_mels, frames]
    const float padding = tensors.tensor("mel_padding." + clip).f32()[0];
    const int64_t mels = stored.shape[0];
    std::vector<float> out(static_cast<size_t>(3000 * mels), padding);
    for (int64_t m = 0; m < mels; ++m) {
      for (int64_t t = 0; t < stored.shape[1]; ++t)
        out[static_cast<size_t>(t * mels + m)] = stored.row(m)[t];
    }
    return out;
  }

 private:
  static stage::Model convert_and_open(const std::filesystem::path& source,
                                       const std::filesystem::path& target) {
    stage::convert(source, target, {.weights = stage::WeightStorage::kF32});
    return stage::Model::open(target);
  }
};

}  // namespace parley::test
