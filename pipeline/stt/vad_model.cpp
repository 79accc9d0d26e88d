#include "parley/pipeline/stt/vad_model.h"

#include <map>
#include <string>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/model/layers.h"
#include "parley/core/model/model.h"
#include "parley/core/model/silero_vad.h"
#include "parley/dsp/audio_reader.h"

namespace parley::pipeline {

std::shared_ptr<const dsp::SileroModel> load_vad_model(const std::filesystem::path& folder) {
  const stage::Model model = stage::Model::open(folder);
  if (model.kind() != "vad")
    throw Error(folder.string(),
                "is a model of kind '" + model.kind() + "', not a voice detector (vad)");
  const stage::Stage& stage = model.stage(stage::kSileroVadStage);
  stage.require_kind(stage::kSileroVadKind);
  stage.config_int("sample_rate", dsp::kSampleRate, dsp::kSampleRate);
  stage.config_int("frame", dsp::SileroVad::kFrame, dsp::SileroVad::kFrame);
  stage.config_int("context", dsp::SileroVad::kContext, dsp::SileroVad::kContext);
  nn::ThreadTeam alone(1);
  const stage::LayerReader read(stage, alone);
  std::map<std::string, nn::Tensor> tensors;
  for (const auto& [name, shape] : stage::silero_vad_tensors())
    tensors[name] = read.floats(name, shape);
  const auto layer = [&](const std::string& name) {
    return dsp::SileroWeights::Layer{tensors.at(name + ".weight"), tensors.at(name + ".bias")};
  };
  return std::make_shared<const dsp::SileroModel>(dsp::SileroWeights{
      .stft = tensors.at("stft_conv.weight"),
      .convolution = {layer("conv1"), layer("conv2"), layer("conv3"), layer("conv4")},
      .lstm_input = {tensors.at("lstm_cell.weight_ih"), tensors.at("lstm_cell.bias_ih")},
      .lstm_hidden = {tensors.at("lstm_cell.weight_hh"), tensors.at("lstm_cell.bias_hh")},
      .output = layer("final_conv")});
}

dsp::FrameClassifier frame_classifier(const TranscribeOptions& options, bool even_level) {
  const VadKind kind = voice_detector(options);
  if (kind == VadKind::kOff) return dsp::everything_is_speech();
  if (kind == VadKind::kSilero && !options.silero)
    throw Error("", "Silero's voice detector was asked for without a model");
  dsp::FrameClassifier classifier =
      kind == VadKind::kSilero ? dsp::silero_classifier(options.silero) : dsp::webrtc_classifier();
  return even_level ? classifier : dsp::leveled(std::move(classifier));
}

}  // namespace parley::pipeline
