// Where in a recording there is speech: what the sequential strategy listens to.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "parley/dsp/speech_segmenter.h"
#include "parley/dsp/vad.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

// Frames [start, end) of log-mel, of 10 ms each.
struct Stretch {
  int64_t start = 0;
  int64_t end = 0;
  int64_t length() const { return end - start; }
  bool operator==(const Stretch&) const = default;
};

// The frames that speech is in; speech: in samples.
std::vector<Stretch> stretches(const std::vector<dsp::SpeechSpan>& speech);

// The stretches that are listened to: speech with `padding` frames around it, and pauses of less
// than `longest_pause` between. They lie in [0, frames).
std::vector<Stretch> padded(const std::vector<Stretch>& speech, int64_t padding,
                            int64_t longest_pause, int64_t frames);
// What lies between them in [0, frames).
std::vector<Stretch> between(const std::vector<Stretch>& stretches, int64_t frames);
// The parts of speech in `within` that no segment covers, as far as they last `shortest` frames.
std::vector<Stretch> uncovered(const std::vector<Stretch>& speech,
                               const std::vector<Segment>& segments, Stretch within,
                               int64_t shortest);

}  // namespace parley::pipeline
