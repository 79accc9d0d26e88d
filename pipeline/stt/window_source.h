// Reads audio and cuts it into windows in its own thread, a few windows ahead of the decoding.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "parley/core/base/bounded_queue.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/log_mel.h"
#include "parley/pipeline/stt/transcribe_options.h"
#include "parley/pipeline/stt/window_cutter.h"

namespace parley::pipeline {

class WindowSource {
 public:
  WindowSource(dsp::AudioReader audio, const dsp::LogMel& log_mel, int64_t frames,
               const TranscribeOptions& options, std::stop_token stop);
  // Ends the thread; what it was reading is dropped.
  ~WindowSource();

  // The next window in order of time; nothing at the end. Throws what reading threw.
  std::optional<SourceWindow> next() { return queue_.pop(); }
  std::optional<SourceWindow> next_if_ready() { return queue_.try_pop(); }
  // next() has nothing more to return, nor to throw.
  bool ended() const { return queue_.ended(); }

  // Facts about the whole input: complete once ended().
  struct Summary {
    int64_t samples = 0;
    std::vector<dsp::Span> skipped;
    std::vector<std::string> notices;
    double decode_audio = 0;  // seconds spent
    double vad = 0;
    double frontend = 0;
  };
  const Summary& summary() const { return summary_; }

 private:
  void run(const std::stop_token& stop);
  void take_windows();

  dsp::AudioReader audio_;
  WindowCutter cutter_;
  Summary summary_;
  std::stop_token caller_stop_;
  BoundedQueue<SourceWindow> queue_{4};
  std::jthread thread_;  // last: everything above outlives it
};

// What a reader has to say about its input.
std::vector<std::string> notices_of(const dsp::AudioReader& audio);

}  // namespace parley::pipeline
