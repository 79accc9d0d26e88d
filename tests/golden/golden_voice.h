// The tiny random SpeechT5 checkpoints of tests/golden/speecht5, converted, and what the reference
// computes with them.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/core/model/safetensors.h"
#include "parley/tests/support.h"

namespace parley::test {

struct GoldenVoice {
  std::unique_ptr<TemporaryFolder> folder = std::make_unique<TemporaryFolder>();
  std::filesystem::path source;
  stage::Model model;
  stage::Safetensors tensors;
  nlohmann::json facts;

  // name: "small" or "bin".
  explicit GoldenVoice(const std::string& name = "small")
      : source(source_path("tests/golden/speecht5/" + name)),
        model(convert_and_open(source, folder->path() / name)),
        tensors(source / "golden.safetensors"),
        facts(nlohmann::json::parse(read_file(source / "golden.json", 1 << 20))) {}

  // Character ids of the texts that the goldens speak.
  std::vector<int32_t> ids(size_t text) const {
    return facts.at("texts").at(text).at("ids").get<std::vector<int32_t>>();
  }
  nn::Tensor tensor(const std::string& name, size_t text) const {
    return tensors.tensor(name + "." + std::to_string(text));
  }
  std::span<const float> speaker() const {
    const nn::Tensor vector = tensors.tensor("speaker");
    return {vector.f32(), static_cast<size_t>(vector.shape.elements())};
  }

 private:
  static stage::Model convert_and_open(const std::filesystem::path& source,
                                       const std::filesystem::path& target) {
    stage::convert(source, target,
                   {.weights = stage::WeightStorage::kF32, .voices = source / "voices"});
    return stage::Model::open(target);
  }
};

// A random voice ends its sentences when it likes; from now on the model in this folder speaks
// three steps a character at least.
inline void speak_longer(const std::filesystem::path& model) {
  const std::filesystem::path path = model / "mel_decoder" / "stage.json";
  nlohmann::json stage = nlohmann::json::parse(read_file(path, 1 << 20));
  stage["config"]["minlenratio"] = 6;
  AtomicFile file(path);
  file.write(stage.dump());
  file.commit();
}

// The largest absolute difference of two f32 tensors of one size.
inline float distance(const nn::Tensor& a, const nn::Tensor& b) {
  if (a.shape.elements() != b.shape.elements()) return INFINITY;
  float worst = 0;
  for (int64_t r = 0; r < a.rows(); ++r) {
    for (int64_t c = 0; c < a.cols(); ++c)
      worst = std::max(worst, std::fabs(a.row(r)[c] - b.f32()[r * a.cols() + c]));
  }
  return worst;
}

}  // namespace parley::test
