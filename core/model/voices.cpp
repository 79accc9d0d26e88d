#include "parley/core/model/voices.h"

#include <algorithm>
#include <cmath>

#include "parley/core/base/error.h"

namespace parley::stage {

void check_voice(const std::vector<float>& values, int64_t size, const std::string& where) {
  if (static_cast<int64_t>(values.size()) != size) {
    throw Error(where,
                "is a voice of " + std::to_string(values.size()) + " numbers; the model takes " +
                    std::to_string(size),
                "use x-vectors of the speaker network that the model was trained with");
  }
  const bool finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  const bool zero = std::all_of(values.begin(), values.end(), [](float x) { return x == 0; });
  if (!finite || zero) throw Error(where, "holds infinity or NaN, or nothing but zeros");
}

std::vector<std::string> voice_names(const Stage& stage) {
  std::vector<std::string> names = stage.weights().names();
  std::sort(names.begin(), names.end());
  return names;
}

std::string default_voice(const Stage& stage) { return stage.config_string("default"); }

int64_t voice_size(const Stage& stage) {
  return stage.config_int(kVoiceSizeField, 1, kMaxVoiceSize);
}

std::vector<float> voice_vector(const Stage& stage, const std::string& name) {
  const int64_t size = voice_size(stage);
  if (!stage.weights().contains(name)) {
    throw Error(stage.where(), "there is no voice '" + name + "'", "--list-voices shows all");
  }
  const nn::Tensor tensor = stage.weights().tensor(name, {size});
  std::vector<float> vector(static_cast<size_t>(size));
  if (tensor.dtype != nn::DType::kF32 && tensor.dtype != nn::DType::kF16 &&
      tensor.dtype != nn::DType::kBF16)
    throw Error(stage.where(), "voice '" + name + "' is not made of floats");
  nn::to_f32(tensor.data, tensor.dtype, vector.size(), vector.data());
  check_voice(vector, size, stage.where() + ": voice '" + name + "'");
  return vector;
}

}  // namespace parley::stage
