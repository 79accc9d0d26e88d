// A HiFi-GAN laid out for streaming: which convolution reads and writes which rows of which line.
// Internal to vocoder/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parley/core/model/layers.h"
#include "parley/core/nn/convolution.h"
#include "parley/vocoder/hifigan.h"

namespace parley::vocoder {

// A signal between two layers, a row for each point in time: the newest rows, after the last rows
// of before that are still needed.
struct Line {
  int64_t channels = 0;  // padded to whole panels with zeros
  nn::DType type = nn::DType::kF32;
  int64_t rows = 0;     // of a step
  int64_t lag = 0;      // rows behind its level's time
  int64_t history = 0;  // rows kept of before

  int64_t row_bytes() const { return channels * static_cast<int64_t>(nn::size_of(type)); }
};

// Where in a line a layer begins to read: rows before (negative) the first row of the step.
struct View {
  int line = -1;  // none
  int64_t offset = 0;
};

// out = W * in + sum of `add`; `sum` takes it as it is, `activated` through a leaky ReLU.
struct Operation {
  std::string name;  // of its weights, "vocoder.conv_pre"
  nn::Convolution convolution;
  View in;
  View add[2] = {};
  int sum = -1;
  int activated = -1;
  float slope = 1;
  int64_t expand = 1;  // rows written for each row of the convolution: an upsampling's rate

  int written() const { return sum >= 0 ? sum : activated; }
};

// Operations that do not wait for each other, or (the last of a level, which add up) whose slices
// do in this order.
struct Layer {
  std::vector<Operation> operations = {};
  bool in_turn = false;
};

// What runs at one rate. Level 0 has the mel frames, level i what comes out of the i-th upsampling.
struct Level {
  std::string name = {};   // "vocoder.levels.1"
  int64_t rate = 1;        // rows for each mel frame
  int64_t rows = 0;        // of a step
  int64_t start = 0;       // time of the first row of the first step of a line without lag
  int64_t steps = 1;       // for each step of the level above
  int64_t input_rows = 0;  // of the level above that one step takes
  std::vector<int> lines = {};
  std::vector<Layer> layers = {};
  int output = -1;  // the line that the next level reads, or the last convolution
};

struct HifiGan::Network {
  Network(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team,
          const HifiGanOptions& options);

  stage::HifiGanDims dims;
  stage::MelContract mel;
  int64_t block_frames = 0;
  std::vector<Line> lines;
  std::vector<Level> levels;
  int mel_line = -1;
  int samples_line = -1;   // a sample is the first channel of a row, before tanh
  nn::Buffer mean, scale;  // f32 [n_mels], empty unless normalize_before

  // The line's window of rows in step `step` of its level begins at this time.
  int64_t time(const Level& level, int line, int64_t step) const {
    return level.start + step * level.rows - lines[static_cast<size_t>(line)].lag;
  }

 private:
  class Builder;
};

}  // namespace parley::vocoder
