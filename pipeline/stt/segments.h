// From the tokens of a window to segments with times.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parley/decoder/search.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/pipeline/stt/transcript.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::pipeline {

struct WindowSegments {
  std::vector<Segment> segments;
  // Where the next window starts, in seconds after this one: the last timestamp when the text after
  // it is unfinished, else the window's length.
  double advance = 0;
  // The window ends with text and one timestamp: no speech follows it.
  bool speech_ended = false;
  // The model did not say when the last segment ends: its end is the window's.
  bool open_end = false;
};

// What becomes of text that no closing timestamp follows a pair of timestamps for: the sequential
// strategy hears it again in its next window, the windows strategy keeps it, of a loop one copy. A
// text without such pairs begins with the window for the one, where the model says for the other.
enum class Unfinished { kDrop, kKeep };

// Cuts at pairs of timestamps; all segments, also those that drop_empty() drops. start: of the
// window, seconds; length: of the audio in it. Reference: openai/whisper transcribe.py, the loop
// over `consecutive`.
WindowSegments segment_window(const text::Tokenizer& tokenizer, const decoder::DecodeResult& result,
                              double start, double length, Unfinished unfinished);

// Drops segments that take no time or have no text.
void drop_empty(std::vector<Segment>& segments);

// The segment is final: numbers it, adds it and its text to the transcript, and tells who listens.
// Words are moved so that they follow those before; they go when they are not asked for.
void deliver(Segment segment, bool with_words, Transcript& transcript,
             const TranscribeEvents& events);

}  // namespace parley::pipeline
