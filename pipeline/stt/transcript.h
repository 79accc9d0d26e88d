// What a transcription is: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace parley::pipeline {

// Where the times of a word come from: the audio (cross-attention), or its segment's, shared out by
// letters.
enum class WordSource { kMeasured, kInterpolated };

// Times are seconds in the input.
struct Word {
  std::string word;  // with its leading space, as the tokens have it
  double start = 0;
  double end = 0;
  float probability = 0;  // mean of its tokens'; 0 when interpolated
  WordSource source = WordSource::kMeasured;
  size_t tokens = 0;  // how many of the segment's tokens of text spell it
};

// Field names and meanings are those of openai/whisper's segments.
struct Segment {
  int64_t id = 0;
  double start = 0;
  double end = 0;
  std::string text;  // with its leading space
  std::vector<int32_t> tokens;
  double avg_logprob = 0;
  double compression_ratio = 0;
  float no_speech_prob = 0;
  float temperature = 0;
  // When asked for: in order, start <= end <= the next start, together the segment's text.
  std::vector<Word> words = {};
};

// A span that gave no text, and why: "vad" (no speech there, not decoded), "no_speech" (the model
// heard none), "unheard" (the detector heard speech, the model gave no text for it),
// "hallucination" (its words are unlikely ones in the middle of silence).
struct Rejected {
  double start = 0;
  double end = 0;
  std::string text;
  std::string reason;
};

struct Transcript {
  double duration = 0;   // seconds of audio
  std::string language;  // code
  float language_probability = 0;
  std::vector<Segment> segments;
  std::string text;                  // of all segments
  std::vector<Rejected> rejected;    // in order of time
  std::vector<std::string> notices;  // what a user should know: damaged samples, a truncated file
};

}  // namespace parley::pipeline
