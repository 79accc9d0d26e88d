// The published Whisper normalizer for English (openai/whisper normalizers/english.py), by which
// transcripts are compared: the word error rate counts words, not spelling, contractions or the
// way numbers are written.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "parley/text/pattern.h"
#include "parley/text/scoring/spelled_numbers.h"

namespace parley::text {

// Equal to EnglishTextNormalizer of openai-whisper: "Mr. Smith's got two dogs" -> "mister smith has
// got 2 dogs". Invalid UTF-8 is replaced first. Immutable, for any number of threads.
class EnglishTextNormalizer {
 public:
  EnglishTextNormalizer();

  std::string operator()(std::string_view text) const;

 private:
  std::string expand(const std::string& text) const;

  std::vector<std::pair<Pattern, std::string>> expansions_;  // in order
  SpelledNumbers numbers_;
  Pattern digit_comma_, period_, sign_, percent_, white_space_;
};

// British spellings made American, word by word (EnglishSpellingNormalizer): "colour" -> "color".
std::string american_spelling(std::string_view text);

}  // namespace parley::text
