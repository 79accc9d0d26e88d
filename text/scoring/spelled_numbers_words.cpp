#include "parley/text/scoring/spelled_numbers_words.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace parley::text {

namespace {

constexpr std::array<std::string_view, 19> kOnes = {
    "one",     "two",     "three",     "four",     "five",    "six",      "seven",
    "eight",   "nine",    "ten",       "eleven",   "twelve",  "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"};
constexpr std::array<std::string_view, 8> kTens = {"twenty", "thirty",  "forty",  "fifty",
                                                   "sixty",  "seventy", "eighty", "ninety"};
constexpr std::array<std::string_view, 12> kMultipliers = {
    "hundred",     "thousand",   "million",    "billion",   "trillion",  "quadrillion",
    "quintillion", "sextillion", "septillion", "octillion", "nonillion", "decillion"};

template <size_t N>
std::optional<int> index_of(const std::array<std::string_view, N>& list, std::string_view word) {
  const auto* found = std::ranges::find(list, word);
  if (found == list.end()) return std::nullopt;
  return static_cast<int>(found - list.begin());
}

template <size_t N>
bool contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return index_of(list, word).has_value();
}

std::string_view without(std::string_view word, std::string_view ending) {
  return word.ends_with(ending) ? word.substr(0, word.size() - ending.size()) : "";
}

int power_of(int multiplier) { return multiplier == 0 ? 2 : 3 * multiplier; }

}  // namespace

bool is_zero_word(std::string_view word) { return word == "o" || word == "oh" || word == "zero"; }

std::optional<int> one_word(std::string_view word) {
  const auto index = index_of(kOnes, word);
  return index ? std::optional(*index + 1) : std::nullopt;
}

std::optional<SuffixedNumber> suffixed_one_word(std::string_view word) {
  if (word == "zeroth") return SuffixedNumber{0, "th"};
  if (word == "first") return SuffixedNumber{1, "st"};
  if (word == "second") return SuffixedNumber{2, "nd"};
  if (word == "third") return SuffixedNumber{3, "rd"};
  if (word == "fifth") return SuffixedNumber{5, "th"};
  if (word == "twelfth") return SuffixedNumber{12, "th"};
  if (word == "sixes") return SuffixedNumber{6, "s"};
  // "eighth", and as published "nineth".
  const std::string_view stem = word == "eighth" ? "eight" : without(word, "th");
  if (const auto value = one_word(stem);
      value && word != "eightth" && *value > 3 && *value != 5 && *value != 12) {
    return SuffixedNumber{*value, "th"};
  }
  const auto plural = one_word(without(word, "s"));
  if (plural && *plural != 6) return SuffixedNumber{*plural, "s"};
  return std::nullopt;
}

std::optional<int> ten_word(std::string_view word) {
  const auto index = index_of(kTens, word);
  return index ? std::optional(10 * (*index + 2)) : std::nullopt;
}

std::optional<SuffixedNumber> suffixed_ten_word(std::string_view word) {
  for (const auto& [ending, suffix] :
       {std::pair<std::string_view, std::string_view>{"ies", "s"}, {"ieth", "th"}}) {
    const std::string_view stem = without(word, ending);
    if (stem.empty()) continue;
    if (const auto value = ten_word(std::string(stem) + "y")) return SuffixedNumber{*value, suffix};
  }
  return std::nullopt;
}

std::optional<int> multiplier_word(std::string_view word) {
  const auto index = index_of(kMultipliers, word);
  return index ? std::optional(power_of(*index)) : std::nullopt;
}

std::optional<SuffixedNumber> suffixed_multiplier_word(std::string_view word) {
  if (const auto power = multiplier_word(without(word, "s"))) return SuffixedNumber{*power, "s"};
  if (const auto power = multiplier_word(without(word, "th"))) return SuffixedNumber{*power, "th"};
  return std::nullopt;
}

std::string_view preceding_sign(std::string_view word) {
  if (word == "minus" || word == "negative") return "-";
  if (word == "plus" || word == "positive") return "+";
  return "";
}

std::string_view following_sign(std::string_view word) {
  if (word == "pound" || word == "pounds") return "£";
  if (word == "euro" || word == "euros") return "€";
  if (word == "dollar" || word == "dollars") return "$";
  if (word == "cent" || word == "cents") return "¢";
  return "";
}

bool is_decimal_word(std::string_view word) {
  return is_zero_word(word) || contains(kOnes, word) || contains(kTens, word);
}

bool is_number_word(std::string_view word) {
  static constexpr std::array<std::string_view, 6> kOthers = {"per",    "percent", "and",
                                                              "double", "triple",  "point"};
  return is_decimal_word(word) || suffixed_one_word(word) || suffixed_ten_word(word) ||
         multiplier_word(word) || suffixed_multiplier_word(word) || !preceding_sign(word).empty() ||
         !following_sign(word).empty() || contains(kOthers, word);
}

}  // namespace parley::text
