// The words of segments and when they were said.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parley/decoder/word_alignment.h"
#include "parley/pipeline/stt/transcript.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::pipeline {

// The segment's tokens without timestamps.
std::vector<int32_t> text_tokens(const text::Tokenizer& tokenizer, const Segment& segment);

// Words that share the segment's time in proportion to their letters.
std::vector<Word> interpolated_words(const text::Tokenizer& tokenizer, const Segment& segment,
                                     const std::string& language);

// What add_words() needs to know of a window besides its segments.
struct WordWindow {
  double start = 0;        // seconds in the file
  double end = 0;          // of its audio
  double last_speech = 0;  // end of the last word before the window
  std::string language;    // code
};

// Gives the segments of a window their words, as aligned (one list for each segment): punctuation
// goes with its word, words that are much longer than most are cut short at the ends of sentences
// and segments, and segments begin and end with their words. Segments of which nothing was aligned
// get interpolated words. Afterwards all words are in order and inside the window.
// Reference: openai/whisper timing.py, add_word_timestamps.
void add_words(std::vector<Segment>& segments, const text::Tokenizer& tokenizer,
               std::vector<std::vector<decoder::AlignedWord>> aligned, const WordWindow& window);

// Moves times forward as far as needed for from <= start <= end <= the next word's start; a
// segment's end follows its last word.
void keep_in_order(Segment& segment, double from);

}  // namespace parley::pipeline
