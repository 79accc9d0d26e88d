// Samples in, windows out: frames, voice activity, runs and planner in one object that does not
// care about block sizes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dsp/silero_vad.h"
#include "dsp/vad.h"
#include "dsp/window_planner.h"

namespace parley::dsp {

// Decides frame by frame, in order, whether there is speech in it.
struct FrameClassifier {
  int frame_samples = WebrtcVad::kFrame;
  std::function<bool(std::span<const float> frame)> is_speech;
};
FrameClassifier webrtc_classifier(
    WebrtcVad::Sensitivity sensitivity = WebrtcVad::Sensitivity::kModerate);
// Speech begins at a frame with a probability of `threshold` and lasts while they are above 0.15
// less (get_speech_timestamps of silero-vad).
FrameClassifier silero_classifier(std::shared_ptr<const SileroModel> model, float threshold = 0.5f);
FrameClassifier everything_is_speech();  // --vad off

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
  std::optional<Skipped> next_skipped() { return planner_.next_skipped(); }
  const WindowPlanner& planner() const { return planner_; }
  int64_t position() const { return position_; }  // samples pushed
  bool at_frame_end() const { return frame_.empty(); }

 private:
  void plan();

  FrameClassifier classifier_;
  SpeechDetector detector_;
  WindowPlanner planner_;
  std::vector<float> frame_;  // the unfinished frame
  int64_t position_ = 0;
};

}  // namespace parley::dsp
