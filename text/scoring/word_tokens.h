// The words of decoded text as runs of tokens, for word timestamps.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/tokenizer/tokenizer.h"

namespace parley::text {

// Whether words have no spaces between them: zh, ja, th, lo, my, yue.
bool is_written_without_spaces(std::string_view language);

// tokens[begin, end) spell `text`, leading space included.
struct WordTokens {
  std::string text;
  size_t begin;
  size_t end;
};

// Cuts `ids` into words, in order and without gaps (openai/whisper tokenizer.py,
// split_to_word_tokens): before a token that begins with a space, around punctuation, and around
// special tokens, which are words without text. For languages written without spaces wherever a
// code point ends. No cut is ever inside a code point.
std::vector<WordTokens> split_to_word_tokens(const Tokenizer& tokenizer,
                                             std::span<const int32_t> ids,
                                             std::string_view language);

}  // namespace parley::text
