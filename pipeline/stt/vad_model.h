// Voice detectors that are models.
#pragma once

#include "parley/dsp/silero_vad.h"
#include "parley/dsp/speech_segmenter.h"
#include "parley/pipeline/stt/transcribe_options.h"

namespace parley::pipeline {

// What voice_detector() says. even_level: the audio has been brought to one level already;
// otherwise the detector hears quiet parts louder. Throws Error when the detector is a model which
// options.silero lacks.
dsp::FrameClassifier frame_classifier(const TranscribeOptions& options, bool even_level = false);

}  // namespace parley::pipeline
