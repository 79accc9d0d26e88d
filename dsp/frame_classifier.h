// Is there speech in a frame? The detectors behind one interface.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "parley/dsp/silero_vad.h"
#include "parley/dsp/vad.h"

namespace parley::dsp {

// How likely it is, frame by frame, in order, that there is speech in it.
struct FrameClassifier {
  int frame_samples = WebrtcVad::kFrame;
  std::function<float(std::span<const float> frame)> probability;  // [frame_samples] -> 0 to 1
};

// 0 or 1.
FrameClassifier webrtc_classifier(
    WebrtcVad::Sensitivity sensitivity = WebrtcVad::Sensitivity::kModerate);
// Has heard half a second of silence before the first frame: unprepared it misses words at the
// very start.
FrameClassifier silero_classifier(std::shared_ptr<const SileroModel> model);
FrameClassifier everything_is_speech();  // --vad off
// The same classifier, which hears quiet recordings louder: detectors lose speech that is more than
// about 45 dB below full scale. Causal; what is loud enough is left as it is.
FrameClassifier leveled(FrameClassifier classifier);

}  // namespace parley::dsp
