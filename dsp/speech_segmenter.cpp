#include "dsp/speech_segmenter.h"

#include <algorithm>
#include <memory>

namespace parley::dsp {

FrameClassifier webrtc_classifier(WebrtcVad::Sensitivity sensitivity) {
  auto vad = std::make_shared<WebrtcVad>(sensitivity);
  return {WebrtcVad::kFrame, [vad](std::span<const float> frame) {
            return vad->process(frame.first<WebrtcVad::kFrame>());
          }};
}

FrameClassifier silero_classifier(std::shared_ptr<const SileroModel> model, float threshold) {
  auto vad = std::make_shared<SileroVad>(std::move(model));
  const float lower = std::max(threshold - 0.15f, 0.01f);
  return {SileroVad::kFrame, [=, speech = false](std::span<const float> frame) mutable {
            const float probability = vad->process(frame.first<SileroVad::kFrame>());
            speech = probability >= (speech ? lower : threshold);
            return speech;
          }};
}

FrameClassifier everything_is_speech() {
  return {WebrtcVad::kFrame, [](std::span<const float>) { return true; }};
}

SpeechSegmenter::SpeechSegmenter(FrameClassifier classifier, const SegmenterOptions& options)
    : classifier_(std::move(classifier)),
      detector_(classifier_.frame_samples, options.detector),
      planner_(options.planner) {}

void SpeechSegmenter::push(std::span<const float> samples) {
  const auto frame = static_cast<size_t>(classifier_.frame_samples);
  position_ += static_cast<int64_t>(samples.size());
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), frame - frame_.size());
    frame_.insert(frame_.end(), samples.begin(), samples.begin() + static_cast<ptrdiff_t>(count));
    samples = samples.subspan(count);
    if (frame_.size() < frame) return;
    detector_.push(classifier_.is_speech(frame_));
    frame_.clear();
    plan();
  }
}

void SpeechSegmenter::finish() {
  if (!frame_.empty()) {  // the last frame is completed with silence
    frame_.resize(static_cast<size_t>(classifier_.frame_samples));
    detector_.push(classifier_.is_speech(frame_));
  }
  detector_.finish(position_);
  plan();
  planner_.finish();
}

void SpeechSegmenter::plan() {
  while (const auto run = detector_.next()) planner_.advance(run->speech, run->end);
}

}  // namespace parley::dsp
