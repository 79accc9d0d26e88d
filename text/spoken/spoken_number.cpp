#include "parley/text/spoken/spoken_number.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "parley/text/concat.h"

namespace parley::text {

namespace {

constexpr std::string_view kMinusSign = "\u2212";

constexpr std::array<std::string_view, 20> kOnes = {
    "zero",     "one",     "two",     "three",     "four",     "five",    "six",
    "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 10> kTens = {
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"};
constexpr std::array<std::string_view, 12> kScales = {
    "",           "thousand",   "million",   "billion",   "trillion", "quadrillion", "quintillion",
    "sextillion", "septillion", "octillion", "nonillion", "decillion"};

int value_of(std::string_view digits) {
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::string below_hundred(int value) {
  if (value < 20) return std::string(kOnes[static_cast<size_t>(value)]);
  std::string words(kTens[static_cast<size_t>(value / 10)]);
  if (value % 10 != 0) words.append("-").append(kOnes[static_cast<size_t>(value % 10)]);
  return words;
}

std::string below_thousand(int value) {
  if (value < 100) return below_hundred(value);
  std::string words = below_hundred(value / 100) + " hundred";
  if (value % 100 != 0) words.append(" ").append(below_hundred(value % 100));
  return words;
}

// Where the last word, or the last half of "twenty-one", begins.
size_t last_word(std::string_view spoken) {
  const size_t at = spoken.find_last_of(" -");
  return at == std::string_view::npos ? 0 : at + 1;
}

}  // namespace

std::string_view without_leading_zeros(std::string_view digits) {
  const size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? "0" : digits.substr(first);
}

std::string cardinal(std::string_view digits) {
  digits = without_leading_zeros(digits);
  if (digits.size() > 3 * kScales.size()) return digit_by_digit(digits);
  if (digits == "0") return "zero";
  std::string words;
  while (!digits.empty()) {
    const size_t scale = (digits.size() - 1) / 3;
    const size_t length = digits.size() - 3 * scale;
    const int group = value_of(digits.substr(0, length));
    digits.remove_prefix(length);
    if (group == 0) continue;
    if (!words.empty()) words += ' ';
    words += below_thousand(group);
    if (scale > 0) words.append(" ").append(kScales[scale]);
  }
  return words;
}

std::string ordinal_of(std::string spoken) {
  static constexpr std::array<std::array<std::string_view, 2>, 7> kIrregular = {
      {{"one", "first"},
       {"two", "second"},
       {"three", "third"},
       {"five", "fifth"},
       {"eight", "eighth"},
       {"nine", "ninth"},
       {"twelve", "twelfth"}}};
  const size_t at = last_word(spoken);
  const std::string last = spoken.substr(at);
  for (const auto& [from, to] : kIrregular) {
    if (last == from) return spoken.replace(at, std::string::npos, to);
  }
  if (spoken.ends_with('y')) return spoken.replace(spoken.size() - 1, 1, "ieth");
  return spoken + "th";
}

std::string plural_of(std::string spoken) {
  if (spoken.ends_with('y')) return spoken.replace(spoken.size() - 1, 1, "ies");
  return spoken + (spoken.ends_with('x') ? "es" : "s");
}

std::string ordinal(std::string_view digits) { return ordinal_of(cardinal(digits)); }

std::string digit_by_digit(std::string_view digits, std::string_view zero) {
  std::string words;
  for (const char digit : digits) {
    if (!words.empty()) words += ' ';
    words += digit == '0' ? zero : kOnes[static_cast<size_t>(digit - '0')];
  }
  return words;
}

std::string in_pairs(std::string_view digits) {
  if (digits.size() < 3 || digits.size() > 4 || digits[0] == '0') return cardinal(digits);
  const int first = value_of(digits.substr(0, digits.size() - 2));
  const int second = value_of(digits.substr(digits.size() - 2));
  if (second == 0 && first % 10 == 0) return cardinal(digits);
  if (second == 0) return below_hundred(first) + " hundred";
  return concat({below_hundred(first), second < 10 ? " oh " : " ", below_hundred(second)});
}

std::string year(std::string_view digits) {
  const bool two_thousands = digits.size() == 4 && digits.starts_with("200");
  return two_thousands ? cardinal(digits) : in_pairs(digits);
}

std::string decimal(std::string_view written) {
  std::string words;
  if (written.starts_with(kMinusSign) || written.starts_with("-")) {
    words = "minus ";
    written.remove_prefix(written[0] == '-' ? 1 : kMinusSign.size());
  }
  const size_t point = written.find('.');
  std::string whole(written.substr(0, point));
  std::erase(whole, ',');
  const bool code = whole.size() > 1 && whole[0] == '0' && point == std::string_view::npos;
  if (!whole.empty()) words += code ? digit_by_digit(whole) : cardinal(whole);
  if (point == std::string_view::npos) return words;
  if (!whole.empty()) words += ' ';
  return concat({words, "point ", digit_by_digit(written.substr(point + 1))});
}

std::string fraction(std::string_view numerator, std::string_view denominator) {
  numerator = without_leading_zeros(numerator);
  denominator = without_leading_zeros(denominator);
  const bool one = numerator == "1";
  if (denominator == "2") return cardinal(numerator) + (one ? " half" : " halves");
  if (denominator == "4") return cardinal(numerator) + (one ? " quarter" : " quarters");
  const bool common = denominator.size() <= 2 || denominator == "100" || denominator == "1000";
  if (!common || denominator == "1" || denominator == "0") {
    return concat({cardinal(numerator), " over ", cardinal(denominator)});
  }
  if (one && denominator.size() > 2)
    return denominator == "100" ? "one hundredth" : "one thousandth";
  const std::string part = denominator == "100"    ? "hundredth"
                           : denominator == "1000" ? "thousandth"
                                                   : ordinal(denominator);
  return concat({cardinal(numerator), " ", part, one ? "" : "s"});
}

std::optional<int> roman_value(std::string_view letters) {
  struct Numeral {
    int value;
    std::string_view letters;
  };
  static constexpr std::array<Numeral, 13> kNumerals = {{{1000, "M"},
                                                         {900, "CM"},
                                                         {500, "D"},
                                                         {400, "CD"},
                                                         {100, "C"},
                                                         {90, "XC"},
                                                         {50, "L"},
                                                         {40, "XL"},
                                                         {10, "X"},
                                                         {9, "IX"},
                                                         {5, "V"},
                                                         {4, "IV"},
                                                         {1, "I"}}};
  int value = 0;
  std::string_view rest = letters;
  for (const Numeral& numeral : kNumerals) {
    while (rest.starts_with(numeral.letters) && value < 4000) {
      value += numeral.value;
      rest.remove_prefix(numeral.letters.size());
    }
  }
  if (!rest.empty() || value == 0 || value > 3999) return std::nullopt;
  std::string canonical;
  int left = value;
  for (const Numeral& numeral : kNumerals) {
    for (; left >= numeral.value; left -= numeral.value) canonical += numeral.letters;
  }
  return canonical == letters ? std::optional(value) : std::nullopt;
}

}  // namespace parley::text
