// From written English to what a speaker says: "On 3/4 at 5pm, $2.50" -> "On three quarters at five
// P M, two dollars and fifty cents".
//
// Numbers, ordinals, years, dates, times, money, units, percentages, ranges, fractions, telephone
// numbers, abbreviations by context, acronyms, Roman numerals, URLs, e-mail addresses, symbols and
// emoji, in American English. No word is lost: what no rule knows is said as it stands.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/spoken/spoken_characters.h"

namespace parley::text {

// One word as it is said: ASCII letters, apostrophes and hyphens, and after them at most one of
// , . ? ! ; : or "...".
struct SpokenWord {
  std::string text;
  SourceRange source;  // what it was read from; several words may share a range
};

struct SpokenForm {
  std::vector<SpokenWord> words;
  CodePointCounts unspeakable;  // for which nothing is said, see FoldedText
  CodePointCounts romanized;    // letters of other scripts

  std::string text() const;  // the words, with a space between them
};

// SSML's <say-as interpret-as="...">.
enum class SayAs {
  kCardinal,    // "12" -> "twelve"; also what is not a number alone, by the ordinary rules
  kOrdinal,     // "12" -> "twelfth"
  kDigits,      // "120" -> "one two zero"
  kCharacters,  // "A1-b" -> "A one dash B"
  kFraction,    // "5/16" -> "five sixteenths"
  kUnit,        // "10 km" -> "ten kilometers"
  kDate,        // "10/3/2024", in the order of `format`: "mdy" (default), "dmy", "ymd", ...
  kTime,        // "2:30pm"
  kTelephone,   // "(555) 010-0199"
  kCurrency,    // "$5.30"
  kYear,        // "1815" -> "eighteen fifteen"
};

// For any number of threads. Making one compiles its patterns: 2 ms.
class EnglishSpokenForm {
 public:
  EnglishSpokenForm();
  ~EnglishSpokenForm();
  EnglishSpokenForm(EnglishSpokenForm&&) noexcept;
  EnglishSpokenForm& operator=(EnglishSpokenForm&&) noexcept;

  // `written`: any bytes; invalid UTF-8 counts as U+FFFD. Best a sentence at a time: whether an
  // abbreviation's period ends the sentence is decided by the end of the text.
  SpokenForm speak(std::string_view written) const;

  // `written` as `kind`. What is not of that kind is said by the ordinary rules.
  SpokenForm speak_as(SayAs kind, std::string_view written, std::string_view format = "") const;

 private:
  struct Rules;
  SpokenForm say_folded(const FoldedText& folded) const;
  std::unique_ptr<Rules> rules_;
};

}  // namespace parley::text
