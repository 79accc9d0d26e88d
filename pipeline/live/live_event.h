// What a live session tells, as it happens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

enum class LiveEventKind {
  kSpeechStart,  // an utterance begins at `start`
  kPartial,      // what is heard of the open utterance so far; replaces the partial before
  kFinal,        // text that stays; replaces the partial
  kSpeechEnd,    // the utterance was [start, end); its last final text is about to come
  kOverrun,      // [start, end) was dropped, for it came faster than it could be worked on
};
// "speech_start", "partial", "final", "speech_end", "overrun".
std::string_view name_of(LiveEventKind kind);

struct LiveEvent {
  LiveEventKind kind = LiveEventKind::kPartial;
  double start = 0;  // seconds in the stream
  double end = 0;
  std::string text = {};  // partial and final; with its leading space
  // Bytes of `text` that two passes agree on: whole words, which later partials of the utterance
  // repeat. A final is stable as a whole.
  size_t stable = 0;
  double lag_ms = 0;                   // since the audio came that made the event possible
  double dropped_ms = 0;               // audio dropped so far, in all
  std::vector<Segment> segments = {};  // final; ids count through the session
};

}  // namespace parley::pipeline
