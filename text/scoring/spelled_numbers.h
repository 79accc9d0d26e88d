// Spelled-out English numbers as digits (openai/whisper normalizers/english.py,
// EnglishNumberNormalizer): "two hundred and six dollars" -> "$206", "nineteen fifties" -> "1950s".
// Equal to the published code, its peculiarities ("nineth") included.
#pragma once

#include <string>
#include <string_view>

#include "parley/text/pattern.h"

namespace parley::text {

// Immutable, for any number of threads.
class SpelledNumbers {
 public:
  SpelledNumbers();

  // Lower-case, valid UTF-8.
  std::string operator()(std::string_view text) const;

 private:
  std::string preprocess(std::string_view text) const;
  std::string postprocess(const std::string& text) const;

  Pattern and_a_half_, letter_digit_, digit_letter_, suffix_, dollars_cents_, cents_, one_;
};

}  // namespace parley::text
