// Subtitles: which words stand on the screen together, on which lines, and when.
// Reference: openai/whisper utils.py, SubtitlesWriter.
#pragma once

#include <string>
#include <vector>

#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

struct SubtitleRules {
  // Characters in a line (text::line_length: wide ones count one, marks on others none), broken
  // between words or where Unicode's rules allow it; 0: never broken.
  int max_line_width = 0;
  // Lines in a cue; 0: any number. With a line width too, cues take no notice of where segments end
  // and begin, only of pauses of more than 3 seconds.
  int max_line_count = 0;
  double min_cue = 0;  // seconds that a cue stays, unless the next one comes; 0: no minimum
  double max_cue = 0;  // seconds; 0: no maximum. A single longer word stays whole
  bool highlight_words = false;  // a cue for each word as it is said, underlined in the text

  bool any() const {
    return max_line_width > 0 || max_line_count > 0 || min_cue > 0 || max_cue > 0 ||
           highlight_words;
  }
};

// A word with what stands before it: a space, a line break, or nothing.
struct CueWord {
  std::string text;
  double start = 0;
  double end = 0;
};

struct Cue {
  double start = 0;
  double end = 0;
  std::vector<CueWord> words;  // printable; together they never hold "-->"
};

// Words of segments that have none are what stands between two places where a line may end; they
// share the segment's time in proportion to their letters.
std::vector<Cue> make_cues(const Transcript& transcript, const SubtitleRules& rules);

}  // namespace parley::pipeline
