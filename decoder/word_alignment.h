// When each word was said: the path of a window's text through its audio.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/decoder/whisper.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::decoder {

struct AlignTask {
  std::shared_ptr<const CrossState> cross;
  std::vector<int32_t> start;               // sot [, language, task], no_timestamps
  std::vector<std::vector<int32_t>> texts;  // of the segments, in order; ordinary tokens only
  std::string language;                     // code: decides where words end
  int64_t positions = 0;  // how many of the window's positions of 20 ms hold audio
};

// Tokens [begin, end) of its segment's text.
struct AlignedWord {
  std::string text;  // with its leading space
  size_t begin = 0;
  size_t end = 0;
  double from = 0;  // seconds in the window, multiples of 0.02; from <= to <= the next word's from
  double to = 0;
  float probability = 0;  // mean of its tokens'
};

// The words of each segment: together they spell its text. One pass over all tokens; only the
// alignment heads' scores are kept. No words at all when there is no text or no audio, or the
// attention is not finite. Throws Error when the text does not fit the decoder, Stopped when asked
// to.
// Reference: openai/whisper timing.py, find_alignment; there a word may reach into the next
// segment.
std::vector<std::vector<AlignedWord>> align_words(nn::Context& ctx, const WhisperDecoder& decoder,
                                                  const text::Tokenizer& tokenizer,
                                                  const AlignTask& task);

// Joins opening punctuation to the word after it and closing punctuation to the word before it;
// the times are those of the word. Reference: timing.py, merge_punctuations.
void merge_punctuation(std::vector<AlignedWord>& words);

}  // namespace parley::decoder
