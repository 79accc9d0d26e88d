// The words that spelled-out numbers are made of (for text/scoring/spelled_numbers.cpp).
#pragma once

#include <optional>
#include <string_view>

namespace parley::text {

struct SuffixedNumber {
  int value;
  std::string_view suffix;  // "s", "st", "nd", "rd", "th"
};

bool is_zero_word(std::string_view word);                                // "o", "oh", "zero"
std::optional<int> one_word(std::string_view word);                      // "one" to "nineteen"
std::optional<SuffixedNumber> suffixed_one_word(std::string_view word);  // "first", "sixes"
std::optional<int> ten_word(std::string_view word);                      // "twenty" to "ninety"
std::optional<SuffixedNumber> suffixed_ten_word(std::string_view word);
// Powers of ten: "hundred" is 2, "decillion" is 33.
std::optional<int> multiplier_word(std::string_view word);
std::optional<SuffixedNumber> suffixed_multiplier_word(std::string_view word);
std::string_view preceding_sign(std::string_view word);  // "minus" -> "-"; "" for none
std::string_view following_sign(std::string_view word);  // "dollars" -> "$"
// Any of these, and per, percent, and, double, triple, point.
bool is_number_word(std::string_view word);
// What may follow "point".
bool is_decimal_word(std::string_view word);

}  // namespace parley::text
