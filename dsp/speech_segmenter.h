// Samples in, windows out: frames, voice activity, runs and planner in one object that does not
// care about block sizes.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "parley/dsp/frame_classifier.h"
#include "parley/dsp/vad.h"
#include "parley/dsp/window_planner.h"

namespace parley::dsp {

// Speech that was found, and how sure the detector was at its surest frame.
struct SpeechSpan {
  Span span;
  float peak = 0;  // probability
  bool operator==(const SpeechSpan&) const = default;
};

struct SegmenterOptions {
  SpeechDetectorOptions detector;
  PlannerOptions planner;
};

class SpeechSegmenter {
 public:
  explicit SpeechSegmenter(FrameClassifier classifier, const SegmenterOptions& options = {});

  void push(std::span<const float> samples);
  // The stream is complete. After whole frames it may also go on: then only the open window ends.
  void finish();

  std::optional<Window> next_window() { return planner_.next_window(); }
  std::optional<Span> next_skipped() { return planner_.next_skipped(); }
  // The speech that was found in [start, end), which must not reach beyond the last window.
  std::vector<SpeechSpan> speech_in(int64_t start, int64_t end) const;
  // Nobody asks for speech before this sample any more.
  void forget_before(int64_t sample);
  const WindowPlanner& planner() const { return planner_; }
  int64_t position() const { return position_; }  // samples pushed
  bool at_frame_end() const { return frame_.empty(); }

 private:
  void classify();
  void plan();
  float peak_in(const Span& span) const;

  FrameClassifier classifier_;
  SpeechDetector detector_;
  WindowPlanner planner_;
  std::deque<Span> speech_;          // in order, apart from each other
  std::deque<float> probabilities_;  // of frames first_probability_, ...
  int64_t first_probability_ = 0;
  bool in_speech_ = false;
  std::vector<float> frame_;  // the unfinished frame
  int64_t position_ = 0;
};

}  // namespace parley::dsp
