// The published Whisper normalizer for any language (openai/whisper normalizers/basic.py), which
// makes transcripts comparable for the word error rate.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parley/text/pattern.h"

namespace parley::text {

// Lower case, without what stands in brackets, symbols and punctuation a space. Invalid UTF-8 is
// replaced first. Immutable, for any number of threads.
class BasicTextNormalizer {
 public:
  // remove_diacritics: "é" becomes "e". split_letters: a space between all letters (grapheme
  // clusters), for languages written without spaces.
  explicit BasicTextNormalizer(bool remove_diacritics = false, bool split_letters = false);

  std::string operator()(std::string_view text) const;

 private:
  bool remove_diacritics_;
  bool split_letters_;
  Pattern brackets_, parentheses_, white_space_, letter_;
};

// NFKC, then symbols, marks and punctuation become spaces.
std::string remove_symbols(std::string_view utf8);
// NFKD, then marks are dropped, special letters become plain ones ("ø" -> "o"), symbols and
// punctuation become spaces but for those code points that are in `keep`.
std::string remove_symbols_and_diacritics(std::string_view utf8, std::u32string_view keep = U"");

// Words between white space, as Python's str.split().
std::vector<std::string> split_words(std::string_view utf8);

// Python's white space, str.isspace(), as a character class without its brackets.
#define PARLEY_PYTHON_SPACE \
  R"(\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"

}  // namespace parley::text
