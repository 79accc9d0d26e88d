// Text that a model makes up where nobody speaks: unlikely words of odd lengths amid silence.
// Reference: openai/whisper transcribe.py, hallucination_silence_threshold.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

// The first words of the segment are improbable, very short or very long. It must have its words.
bool is_anomalous(const Segment& segment);

struct HeardWindow {
  double start = 0;        // seconds in the file
  double end = 0;          // of its audio
  double full_end = 0;     // start + the 30 s that a window can hold
  double last_speech = 0;  // end of the last word before it
};

// The first segment from `from` on that is anomalous with more than `threshold` seconds of silence,
// an edge of the window, or more of its kind before it and after it. segments.size(): none.
size_t find_hallucination(const std::vector<Segment>& segments, size_t from,
                          const HeardWindow& window, double threshold);

// When the text begins with an anomalous segment after more than `threshold` seconds of silence:
// where it begins.
std::optional<double> leading_silence_end(const std::vector<Segment>& segments,
                                          const HeardWindow& window, double threshold);

}  // namespace parley::pipeline
