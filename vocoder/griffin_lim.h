// Griffin-Lim: samples from mel frames without a model.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "parley/core/model/mel_contract.h"
#include "parley/core/nn/context.h"

namespace parley::vocoder {

struct GriffinLimOptions {
  int iterations = 32;
  float momentum = 0.99f;  // 0: the plain algorithm
  uint64_t seed = 0;       // of the first phases
};

// The spectrum is the non-negative one whose mel bands are nearest (multiplicative updates, Lee &
// Seung 2001), its phases those that a signal can have (Griffin & Lim 1984; with momentum:
// Perraudin et al. 2013). Sounds metallic beside a HiFi-GAN: for models without a vocoder, and for
// tests. Immutable.
class GriffinLim {
 public:
  // Throws Error when the contract makes no sense.
  explicit GriffinLim(const stage::MelContract& mel, const GriffinLimOptions& options = {});
  ~GriffinLim();
  GriffinLim(GriffinLim&&) noexcept;

  int64_t n_mels() const;
  int64_t hop_length() const;

  // A whole utterance: log-mel f32 [frames, n_mels], frame t in the middle of samples t * hop and
  // (t + 1) * hop -> frames * hop samples. The stop token is looked at before each iteration.
  std::vector<float> synthesize(nn::Context& ctx, const nn::Tensor& mel) const;

  // The log-mel frames [frames, n_mels] of samples, framed in the same way: what synthesize()
  // inverts. samples: frames * hop.
  void analyze(std::span<const float> samples, const nn::Tensor& mel) const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

// The same calls as HifiGanStream, for one utterance: its samples, in [-1, 1], all come at its end.
class GriffinLimStream {
 public:
  explicit GriffinLimStream(const GriffinLim& vocoder) : vocoder_(vocoder) {}

  // mel: f32 [frames, n_mels]. Appends nothing to `samples` yet.
  void push(nn::Context& ctx, const nn::Tensor& mel, std::vector<float>& samples);
  // No more frames come: appends frames * hop_length() samples.
  void finish(nn::Context& ctx, std::vector<float>& samples);
  // Ready for another utterance.
  void reset() { mel_.clear(); }

 private:
  const GriffinLim& vocoder_;  // which must outlive it
  std::vector<float> mel_;     // [frames, n_mels]
};

}  // namespace parley::vocoder
