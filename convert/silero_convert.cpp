#include "parley/convert/silero_convert.h"

#include <memory>

#include "parley/convert/checkpoint.h"
#include "parley/convert/weights_writer.h"
#include "parley/core/base/error.h"
#include "parley/core/model/safetensors.h"
#include "parley/core/model/silero_vad.h"

namespace parley::stage {

namespace {

namespace fs = std::filesystem;

class FileTensor : public SourceTensor {
 public:
  explicit FileTensor(const nn::Tensor& tensor) : tensor_(tensor) {}
  nn::Shape shape() const override { return tensor_.shape; }
  nn::DType dtype() const override { return tensor_.dtype; }
  void read(int64_t first, std::span<float> out) const override {
    const auto element = static_cast<int64_t>(nn::size_of(tensor_.dtype));
    nn::to_f32(tensor_.as<std::byte>() + first * element, tensor_.dtype, out.size(), out.data());
  }

 private:
  nn::Tensor tensor_;
};

bool holds_silero(const fs::path& file) {
  try {
    const Safetensors tensors(file);
    return tensors.contains("stft_conv.weight") && tensors.contains("lstm_cell.weight_ih");
  } catch (const Error&) {
    return false;  // another reader will say what is wrong with it
  }
}

Checkpoint open_silero(const fs::path& file) {
  const auto tensors = std::make_shared<Safetensors>(file);
  Checkpoint checkpoint;
  checkpoint.where = file.string();
  checkpoint.format = "silero-vad";
  checkpoint.licence = "MIT";
  checkpoint.files = {file};
  checkpoint.storage = tensors;
  for (const std::string& name : tensors->names()) {
    const nn::Tensor tensor = tensors->tensor(name);
    const bool floats = tensor.dtype == nn::DType::kF32 || tensor.dtype == nn::DType::kF16;
    if (!floats) throw Error(checkpoint.where, "tensor '" + name + "' does not hold floats");
    checkpoint.tensors.emplace(std::string(kSileroVadStage) + "." + name,
                               std::make_unique<FileTensor>(tensor));
  }
  return checkpoint;
}

}  // namespace

std::optional<fs::path> find_silero(const fs::path& source) {
  if (!fs::is_directory(source)) {
    if (source.extension() != ".safetensors" || !holds_silero(source)) return std::nullopt;
    return source;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    if (entry.path().extension() == ".safetensors" && holds_silero(entry.path()))
      return entry.path();
  }
  return std::nullopt;
}

ModelManifest convert_silero(const fs::path& file, const FolderWriter& folder,
                             const ConvertOptions& options) {
  const Checkpoint checkpoint = open_silero(file);
  ConvertOptions exact = options;
  exact.weights = WeightStorage::kF32;
  WeightsWriter weights(checkpoint, exact);
  const auto tensors = weights.plan(kSileroVadStage, silero_vad_tensors());
  weights.check_all_taken();
  StageManifest stage = silero_vad_manifest();
  const fs::path stage_folder = folder.subfolder(kSileroVadStage);
  stage.weights = weights.write(kSileroVadStage, tensors, stage_folder);
  write_json(stage_folder, "stage.json", to_json(stage));
  ModelManifest model;
  model.kind = "vad";
  model.stages = {kSileroVadStage};
  model.licence = checkpoint.licence;
  model.source = source_facts(checkpoint, file);
  return model;
}

}  // namespace parley::stage
