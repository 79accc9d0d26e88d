// Voice detectors that are models.
#pragma once

#include <filesystem>
#include <memory>

#include "dsp/silero_vad.h"
#include "dsp/speech_segmenter.h"
#include "pipeline/transcribe_options.h"

namespace parley::pipeline {

// Opens a model folder of kind vad (Silero's). Throws Error: not a model, of another kind, damaged.
std::shared_ptr<const dsp::SileroModel> load_vad_model(const std::filesystem::path& folder);

// What voice_detector() says. even_level: the audio has been brought to one level already;
// otherwise the detector hears quiet parts louder. Throws Error when the detector is a model which
// options.silero lacks.
dsp::FrameClassifier frame_classifier(const TranscribeOptions& options, bool even_level = false);

}  // namespace parley::pipeline
