#include "parley/core/model/silero_vad.h"

namespace parley::stage {

namespace {

constexpr int64_t kSampleRate = 16000;
constexpr int64_t kFrame = 512;
constexpr int64_t kContext = 64;
constexpr int64_t kHidden = 128;

}  // namespace

std::vector<NamedShape> silero_vad_tensors() {
  return {{"stft_conv.weight", {258, 1, 256}},
          {"conv1.weight", {128, 129, 3}},
          {"conv1.bias", {128}},
          {"conv2.weight", {64, 128, 3}},
          {"conv2.bias", {64}},
          {"conv3.weight", {64, 64, 3}},
          {"conv3.bias", {64}},
          {"conv4.weight", {128, 64, 3}},
          {"conv4.bias", {128}},
          {"lstm_cell.weight_ih", {4 * kHidden, kHidden}},
          {"lstm_cell.weight_hh", {4 * kHidden, kHidden}},
          {"lstm_cell.bias_ih", {4 * kHidden}},
          {"lstm_cell.bias_hh", {4 * kHidden}},
          {"final_conv.weight", {1, kHidden, 1}},
          {"final_conv.bias", {1}}};
}

StageManifest silero_vad_manifest() {
  StageManifest stage;
  stage.kind = kSileroVadKind;
  stage.inputs = {{"samples", {kFrame}, nn::DType::kF32}};
  stage.outputs = {{"probability", {1}, nn::DType::kF32}};
  stage.states = {{"context", {kContext}, nn::DType::kF32},
                  {"hidden", {kHidden}, nn::DType::kF32},
                  {"cell", {kHidden}, nn::DType::kF32}};
  stage.config = {{"sample_rate", kSampleRate}, {"frame", kFrame}, {"context", kContext}};
  return stage;
}

}  // namespace parley::stage
