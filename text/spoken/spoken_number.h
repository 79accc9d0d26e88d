// Numbers as English (American) words, without "and": "one hundred five". Digits are strings, so
// that no number is too long; each function takes ASCII digits only, at least one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace parley::text {

// "1024" -> "one thousand twenty-four". Over 36 digits: digit by digit.
std::string cardinal(std::string_view digits);

// "21" -> "twenty-first".
std::string ordinal(std::string_view digits);
// A spoken number made an ordinal, or plural: "twenty-one" -> "twenty-first", "twenty-ones".
std::string ordinal_of(std::string spoken);
std::string plural_of(std::string spoken);

// "105" -> "one zero five"; or with another word for zero, as in telephone numbers: "oh".
std::string digit_by_digit(std::string_view digits, std::string_view zero = "zero");

// In pairs, as years and names are said: 3 or 4 digits, "1905" -> "nineteen oh five", "747" ->
// "seven forty-seven", "300" -> "three hundred", "2000" -> "two thousand". Else a cardinal.
std::string in_pairs(std::string_view digits);

// A year: as in_pairs, but 2000 to 2009 "two thousand five".
std::string year(std::string_view digits);

// Number as written: digits with grouping commas, decimals, a sign (- or U+2212) -> "minus one
// thousand point zero five". Leading zeros (two or more digits) are said digit by digit.
std::string decimal(std::string_view written);

// "3/8" -> "three eighths"; denominators 2 to 100, and 1000. Others "three over one".
std::string fraction(std::string_view numerator, std::string_view denominator);

// The value of a Roman numeral (upper case, 1 to 3999), canonical spelling only: "IIII" is none.
std::optional<int> roman_value(std::string_view letters);

// Without leading zeros; "0" for zero.
std::string_view without_leading_zeros(std::string_view digits);

}  // namespace parley::text
