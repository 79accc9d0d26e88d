// SpeechT5's postnet: convolutions that refine the frames of a sentence, block by block while they
// come.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/linear.h"
#include "parley/core/nn/weight.h"

namespace parley::decoder {

// Immutable after construction. Reference: transformers modeling_speecht5.py,
// SpeechT5SpeechDecoderPostnet.postnet, the batch norm folded into the convolutions.
class Postnet {
 public:
  // Of a stage of kind "speecht5_mel_decoder". Throws Error naming the field or tensor at fault.
  Postnet(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team);

  int64_t n_mels() const { return n_mels_; }
  // Frames on each side that a refined frame depends on.
  int64_t context() const { return static_cast<int64_t>(layers_.size()) * (kernel_ / 2); }
  size_t bytes() const;

  // Refines frames [begin, end) of a sentence.  mel: frames [first, first + rows) of it, f32
  // [rows, n_mels]; it must hold [begin - context, end + context) as far as the sentence has them.
  // total: frames of the sentence, when it is known to end; else negative. -> f32
  // [end - begin, n_mels] in scratch.
  nn::Tensor run(nn::Context& ctx, const nn::Tensor& mel, int64_t first, int64_t begin, int64_t end,
                 int64_t total) const;

 private:
  int64_t n_mels_;
  int64_t kernel_;
  struct Layer {
    std::string name;  // "mel_decoder.postnet.layers.0"
    nn::Conv1d conv;
  };
  std::vector<Layer> layers_;
};

// The frames of one sentence in, the refined ones out as soon as their context is there. Blocks
// begin at multiples of kBlock frames of the sentence, so that the sizes in which frames come
// change nothing.
class PostnetStream {
 public:
  static constexpr int64_t kBlock = 16;

  explicit PostnetStream(const Postnet& postnet) : postnet_(postnet) {}

  // frames: [count * n_mels]. Appends to `out` what can be refined now.
  void push(nn::Context& ctx, std::span<const float> frames, std::vector<float>& out);
  // The sentence is complete: appends the rest; the next push() begins another sentence.
  void finish(nn::Context& ctx, std::vector<float>& out);

 private:
  void refine(nn::Context& ctx, int64_t end, int64_t total, std::vector<float>& out);

  const Postnet& postnet_;
  std::vector<float> mel_;  // frames from first_ on
  int64_t first_ = 0;
  int64_t done_ = 0;  // frames refined
};

}  // namespace parley::decoder
