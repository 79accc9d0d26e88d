// What loudspeakers play, laid beside what the microphone hears. Internal to pipeline/.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace parley::pipeline {

// Times are samples of the microphone's stream. Holds a minute that was not yet asked for at most,
// and forgets the oldest.
class PlayedSound {
 public:
  // Starts to play at `now`, or when all that was pushed before has been played.
  void push(std::span<const float> samples, int64_t now);
  // What is played from `start` on, silence included; what was before is forgotten.
  void take(int64_t start, std::span<float> out);

 private:
  struct Run {
    int64_t start;
    std::vector<float> samples;
    int64_t end() const { return start + static_cast<int64_t>(samples.size()); }
  };

  std::deque<Run> runs_;  // in order, not empty, without overlap
  int64_t end_ = 0;       // of the last
  int64_t waiting_ = 0;   // samples in runs_
};

}  // namespace parley::pipeline
