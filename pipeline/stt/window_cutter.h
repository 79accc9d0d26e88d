// Samples in, windows with their log-mel out: the part of the windows strategy that needs no model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "parley/dsp/log_mel.h"
#include "parley/dsp/sample_store.h"
#include "parley/dsp/speech_segmenter.h"
#include "parley/pipeline/stt/transcribe_options.h"

namespace parley::pipeline {

struct SourceWindow {
  dsp::Window window = {};
  std::vector<float> mel = {};  // [3000, n_mels], normalized
  // What it takes to hear parts of it again:
  std::vector<float> samples = {};           // [window.end - window.start]
  std::vector<dsp::SpeechSpan> speech = {};  // that was found in it, in samples of the stream
};

// Holds the samples of the open window and of those that were not taken yet.
class WindowCutter {
 public:
  // frames: of log-mel that the encoder takes. even_level: as for frame_classifier(). log_mel must
  // outlive the cutter.
  WindowCutter(const dsp::LogMel& log_mel, int64_t frames, const TranscribeOptions& options,
               bool even_level = false);

  // Finds the speech in what follows; the sizes of the pieces change nothing.
  void push(std::span<const float> samples);
  // The stream is complete. At the end of a frame of the detector it may also go on: then only the
  // open window ends here.
  void finish();
  bool at_frame_end() const { return segmenter_.at_frame_end(); }

  // The next window, in order of time. Its log-mel is computed here.
  std::optional<SourceWindow> next();
  std::optional<dsp::Span> next_skipped() { return segmenter_.next_skipped(); }

  const dsp::WindowPlanner& planner() const { return segmenter_.planner(); }
  int64_t position() const { return segmenter_.position(); }  // samples pushed
  // The window that is open now, as far as it has been heard. There must be one.
  SourceWindow open_window() const;

 private:
  SourceWindow cut(const dsp::Window& window) const;

  const dsp::LogMel& log_mel_;
  int64_t frames_;
  bool detects_;  // speech; otherwise all is taken for speech, and nothing is known
  dsp::SpeechSegmenter segmenter_;
  dsp::SampleStore store_;
};

}  // namespace parley::pipeline
