// HiFi-GAN: log-mel frames in, samples out, block by block.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "parley/core/model/hifigan.h"
#include "parley/core/model/model.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/weight.h"

namespace parley::vocoder {

struct HifiGanOptions {
  // Frames that are computed together: fewer are ready sooner, more use the memory's bandwidth
  // better (60 are 3 % faster than 30 in f32). The samples depend on it, by rounding alone (1e-5 in
  // f32).
  int64_t block_frames = 30;
};

// Immutable after construction; any number of streams on any number of contexts may run it.
// Reference: Kong et al. 2020, https://arxiv.org/abs/2010.05646, §2.2; jik876/hifi-gan models.py.
//
// Every layer advances by one block at a time and keeps the few rows of its input that the next
// block needs again, so that nothing is computed twice and no buffer is longer than a block. A
// layer with a view to the right lags behind its input by that much; blocks lie on one absolute
// grid of frames, whatever the sizes in which frames arrive.
class HifiGan {
 public:
  // Packs the weights of a stage of kind "hifigan" for this CPU, shared by the team. precision:
  // kAuto is bf16 where there are AMX tiles, else f32, which the other instruction sets are faster
  // with; kInt8 is refused. Throws Error naming the field or tensor at fault.
  HifiGan(const stage::Stage& stage, nn::Precision precision, nn::ThreadTeam& team,
          const HifiGanOptions& options = {});
  ~HifiGan();
  HifiGan(HifiGan&&) noexcept;

  int64_t n_mels() const;
  int64_t hop_length() const;  // samples of a frame
  const stage::MelContract& mel() const;
  int64_t block_frames() const;
  // How many frames after a sample's own must have come before it is computed (beside the rest of
  // the block); as many before it matter.
  int64_t receptive_frames() const;
  size_t bytes() const;

 private:
  friend class HifiGanStream;
  struct Network;
  std::unique_ptr<const Network> network_;
};

// The state of one utterance. The concatenated samples do not depend on how the frames are cut into
// calls, nor on the number of threads. When a call throws (nn's Stopped), start anew with reset().
class HifiGanStream {
 public:
  explicit HifiGanStream(const HifiGan& vocoder);  // which must outlive it
  ~HifiGanStream();
  HifiGanStream(HifiGanStream&&) noexcept;

  // mel: f32 [frames, n_mels], log-mel as the vocoder's contract says. Appends the samples in
  // [-1, 1] that are ready now. The stop token is looked at before each layer.
  void push(nn::Context& ctx, const nn::Tensor& mel, std::vector<float>& samples);
  // No more frames come: appends the rest, together frames * hop_length() samples.
  void finish(nn::Context& ctx, std::vector<float>& samples);
  // Ready for another utterance.
  void reset();

  int64_t frames() const;  // taken so far
  size_t bytes() const;    // of the state

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A whole utterance: mel f32 [frames, n_mels] -> frames * hop_length() samples.
std::vector<float> synthesize(nn::Context& ctx, const HifiGan& vocoder, const nn::Tensor& mel);

}  // namespace parley::vocoder
