// Mono sample rate conversion in blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct SwrContext;

namespace parley::dsp {

// libswresample's polyphase filter with exact rational phases: what `ffmpeg -ar` does, and so what
// openai/whisper and its training data had. (libsamplerate's medium sinc is cleaner above 7.5 kHz
// and 15 times slower: 44.1 kHz to 16 kHz at 114 times real time on one core, against 1650.) Output
// sample i lies at input time i * from / to: no delay, no drift; the output is as long as the
// input, rounded up to a whole sample. The block sizes change nothing.
class Resampler {
 public:
  Resampler(int from_rate, int to_rate);
  ~Resampler();

  // Appends to `out` what follows from `input` so far; a few samples are held back until more input
  // comes.
  void convert(std::span<const float> input, std::vector<float>& out);
  // The input is complete: appends the rest.
  void finish(std::vector<float>& out);

 private:
  struct Free {
    void operator()(SwrContext* context) const;
  };
  void append(const float* input, size_t count, std::vector<float>& out);

  int from_rate_;
  int to_rate_;
  int64_t consumed_ = 0;
  int64_t produced_ = 0;
  std::unique_ptr<SwrContext, Free> context_;
};

}  // namespace parley::dsp
