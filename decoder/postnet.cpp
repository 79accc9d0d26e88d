#include "parley/decoder/postnet.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>

#include "parley/core/model/layers.h"
#include "parley/core/model/speecht5.h"

namespace parley::decoder {

using nn::DType;
using nn::Tensor;

Postnet::Postnet(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team) {
  const stage::SpeechT5Dims dims = stage::mel_decoder_dims(stage);
  n_mels_ = dims.num_mel_bins;
  kernel_ = dims.speech_decoder_postnet_kernel;
  // Its output is heard: nothing is rounded to 8 bits.
  nn::Compute compute = nn::compute_for(precision, nn::Rows::kMany);
  if (compute == nn::Compute::kInt8Many)
    compute = nn::compute_for(nn::Precision::kF32, nn::Rows::kMany);
  const stage::LayerReader read(stage, team);
  const int64_t layers = dims.speech_decoder_postnet_layers;
  const int64_t units = dims.speech_decoder_postnet_units;
  for (int64_t i = 0; i < layers; ++i) {
    const std::string name = "postnet.layers." + std::to_string(i);
    layers_.push_back({.name = stage.name() + "." + name,
                       .conv = read.conv1d(name + ".conv",
                                           {.outputs = i == layers - 1 ? n_mels_ : units,
                                            .inputs = i == 0 ? n_mels_ : units,
                                            .kernel = kernel_},
                                           compute)});
  }
}

size_t Postnet::bytes() const {
  size_t total = 0;
  for (const Layer& layer : layers_) total += layer.conv.weight.bytes();
  return total;
}

Tensor Postnet::run(nn::Context& ctx, const Tensor& mel, int64_t first, int64_t begin, int64_t end,
                    int64_t total) const {
  const int64_t reach = kernel_ / 2;
  const int64_t last = total < 0 ? first + mel.rows() : total;  // frames from here on are zeros
  assert(first <= std::max<int64_t>(0, begin - context()) && end <= last);
  const Tensor out = ctx.allocate({end - begin, n_mels_});
  const nn::Scope scope(ctx);
  // x: frames [from, from + rows), with zeros where the sentence has none: each layer pads anew.
  int64_t from = begin - context();
  Tensor x = ctx.allocate({end + context() - from, n_mels_});
  for (int64_t t = from; t < from + x.rows(); ++t) {
    const bool inside = t >= 0 && t < last;
    if (inside) std::copy_n(mel.row(t - first), n_mels_, x.row(t - from));
    if (!inside) std::fill_n(x.row(t - from), n_mels_, 0.f);
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    from += reach;
    const Tensor y = ctx.allocate({x.rows() - 2 * reach, layer.conv.weight.outputs()});
    nn::conv1d(ctx, layer.conv, x, {.out = y});
    const bool activated = i + 1 < layers_.size();
    ctx.parallel(y.rows(), [&](int64_t r, int) {
      const bool inside = from + r >= 0 && from + r < last;
      for (float& value : std::span(y.row(r), static_cast<size_t>(y.cols()))) {
        if (activated) value = std::tanh(value);
        if (!inside) value = 0;
      }
    });
    ctx.show(layer.name, y.slice_rows(begin - from, end - begin));
    x = y;
  }
  for (int64_t t = begin; t < end; ++t) {
    for (int64_t m = 0; m < n_mels_; ++m)
      out.row(t - begin)[m] = mel.row(t - first)[m] + x.row(t - begin)[m];
  }
  return out;
}

void PostnetStream::refine(nn::Context& ctx, int64_t end, int64_t total, std::vector<float>& out) {
  const nn::Scope scope(ctx);
  const auto rows = static_cast<int64_t>(mel_.size()) / postnet_.n_mels();
  const Tensor mel(mel_.data(), {rows, postnet_.n_mels()}, DType::kF32);
  const Tensor refined = postnet_.run(ctx, mel, first_, done_, end, total);
  out.insert(out.end(), refined.f32(), refined.f32() + refined.shape.elements());
  done_ = end;
  const int64_t keep = std::max<int64_t>(0, done_ - postnet_.context());
  mel_.erase(mel_.begin(), mel_.begin() + (keep - first_) * postnet_.n_mels());
  first_ = keep;
}

void PostnetStream::push(nn::Context& ctx, std::span<const float> frames, std::vector<float>& out) {
  mel_.insert(mel_.end(), frames.begin(), frames.end());
  const int64_t count = first_ + static_cast<int64_t>(mel_.size()) / postnet_.n_mels();
  while (done_ + kBlock + postnet_.context() <= count) refine(ctx, done_ + kBlock, -1, out);
}

void PostnetStream::finish(nn::Context& ctx, std::vector<float>& out) {
  const int64_t total = first_ + static_cast<int64_t>(mel_.size()) / postnet_.n_mels();
  while (done_ < total) refine(ctx, std::min(done_ + kBlock, total), total, out);
  mel_.clear();
  first_ = 0;
  done_ = 0;
}

}  // namespace parley::decoder
