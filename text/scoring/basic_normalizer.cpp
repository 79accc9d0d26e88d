#include "parley/text/scoring/basic_normalizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "parley/text/unicode.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

// Letters with a stroke and ligatures, which no normalization form takes apart.
constexpr std::array<std::pair<char32_t, std::string_view>, 16> kSpecialLetters = {{{U'œ', "oe"},
                                                                                    {U'Œ', "OE"},
                                                                                    {U'ø', "o"},
                                                                                    {U'Ø', "O"},
                                                                                    {U'æ', "ae"},
                                                                                    {U'Æ', "AE"},
                                                                                    {U'ß', "ss"},
                                                                                    {U'ẞ', "SS"},
                                                                                    {U'đ', "d"},
                                                                                    {U'Đ', "D"},
                                                                                    {U'ð', "d"},
                                                                                    {U'Ð', "D"},
                                                                                    {U'þ', "th"},
                                                                                    {U'Þ', "th"},
                                                                                    {U'ł', "l"},
                                                                                    {U'Ł', "L"}}};

bool is_symbol(char32_t c) {
  const char kind = category(c);
  return kind == 'M' || kind == 'S' || kind == 'P';
}

// PARLEY_PYTHON_SPACE
bool is_python_space(char32_t c) {
  if (c < 0x80) return (c >= '\t' && c <= '\r') || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

template <typename Function>
void for_each_code_point(std::string_view utf8, const Function& function) {
  for (size_t at = 0; at < utf8.size();) {
    const CodePoint point = first_code_point(utf8.substr(at));
    function(point.value, utf8.substr(at, point.length));
    at += point.length;
  }
}

}  // namespace

std::string remove_symbols(std::string_view utf8) {
  std::string result;
  for_each_code_point(nfkc(utf8), [&](char32_t c, std::string_view bytes) {
    result += is_symbol(c) ? std::string_view(" ") : bytes;
  });
  return result;
}

std::string remove_symbols_and_diacritics(std::string_view utf8, std::u32string_view keep) {
  std::string result;
  for_each_code_point(nfkd(utf8), [&](char32_t c, std::string_view bytes) {
    const auto* special =
        std::ranges::find(kSpecialLetters, c, &std::pair<char32_t, std::string_view>::first);
    if (keep.find(c) != std::u32string_view::npos) {
      result += bytes;
    } else if (special != kSpecialLetters.end()) {
      result += special->second;
    } else if (!is_nonspacing_mark(c)) {
      result += is_symbol(c) ? std::string_view(" ") : bytes;
    }
  });
  return result;
}

std::vector<std::string> split_words(std::string_view utf8) {
  std::vector<std::string> words;
  bool inside = false;
  for_each_code_point(utf8, [&](char32_t c, std::string_view bytes) {
    if (is_python_space(c)) {
      inside = false;
      return;
    }
    if (!inside) words.emplace_back();
    inside = true;
    words.back() += bytes;
  });
  return words;
}

BasicTextNormalizer::BasicTextNormalizer(bool remove_diacritics, bool split_letters)
    : remove_diacritics_(remove_diacritics),
      split_letters_(split_letters),
      brackets_(R"([<\[][^>\]]*[>\]])", Pattern::Unit::kCodePoint),
      parentheses_(R"(\(([^)]+?)\))", Pattern::Unit::kCodePoint),
      white_space_("[" PARLEY_PYTHON_SPACE "]+", Pattern::Unit::kCodePoint),
      letter_(R"(\X)", Pattern::Unit::kCodePoint) {}

std::string BasicTextNormalizer::operator()(std::string_view text) const {
  std::string s = to_lower(replace_invalid_utf8(text));
  s = parentheses_.replace(brackets_.replace(s, ""), "");
  s = to_lower(remove_diacritics_ ? remove_symbols_and_diacritics(s) : remove_symbols(s));
  if (split_letters_) {
    std::string letters;
    for (size_t at = 0; at < s.size();) {
      const std::optional<Match> letter = letter_.match_at(s, at);
      const size_t end = letter && letter->end() > at ? letter->end() : at + 1;
      if (at > 0) letters += ' ';
      letters.append(s, at, end - at);
      at = end;
    }
    s = std::move(letters);
  }
  return white_space_.replace(s, " ");
}

}  // namespace parley::text
