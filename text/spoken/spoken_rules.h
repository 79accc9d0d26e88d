// What the rules of the spoken form share (spoken_form.cpp runs them). Not for users.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/pattern.h"
#include "parley/text/spoken/spoken_form.h"

namespace parley::text {

// The words said so far, and the text they are said from.
class Speech {
 public:
  explicit Speech(std::string_view text) : text_(text) {}

  std::string_view text() const { return text_; }

  // One or more words with spaces between them. Characters other than letters, apostrophes,
  // hyphens and commas are left out.
  void say(std::string_view words);
  void say(std::initializer_list<std::string_view> parts);
  // The next word is joined to the last with a hyphen.
  void join() { join_ = !words_.empty() && mark_of(words_.back().text).empty(); }
  // Punctuation after the last word: , . ? ! ; : or "...". The stronger mark stays.
  void mark(std::string_view mark);
  // After an abbreviation's period that ends at `end`: it ends the text too, if nothing but
  // quotes and brackets follows.
  void mark_if_last(size_t end);

  const std::vector<SpokenWord>& words() const { return words_; }
  std::vector<SpokenWord>& words() { return words_; }

  // --- the text around a place ---
  char before(size_t at) const { return at == 0 ? '\0' : text_[at - 1]; }
  char after(size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  // The run of letters that ends before `at`, or begins after it, with one space or hyphen between;
  // "" if something else stands there.
  std::string_view word_before(size_t at) const;
  std::string_view word_after(size_t at) const;

 private:
  static std::string_view mark_of(std::string_view word);

  std::string_view text_;
  std::vector<SpokenWord> words_;
  bool join_ = false;
};

// A rule is tried where its pattern could begin. It says something and returns where it ended, or
// returns kNotThis and has said nothing.
struct Rule {
  static constexpr size_t kNotThis = 0;
  unsigned starts;  // what the first character may be: kUpper | kLower | kDigit | kSign
  Pattern pattern;
  size_t (*say)(Speech&, const Match&);
};
inline constexpr unsigned kUpper = 1, kLower = 2, kDigit = 4, kSign = 8;
inline constexpr unsigned kLetter = kUpper | kLower;

// In the order in which they are to be tried.
std::vector<Rule> markup_rules();  // Markdown, HTML
// How many bytes of Markdown's marks, which nobody reads out, begin a line: of quotes, headings,
// items with their boxes, fences of code.
size_t markdown_marks(std::string_view line);
std::vector<Rule> address_rules();   // URLs, e-mail, telephone numbers, versions
std::vector<Rule> calendar_rules();  // dates, years, times
std::vector<Rule> quantity_rules();  // money, units, fractions, ranges, numbers
std::vector<Rule> word_rules();      // abbreviations, Roman numerals, initials

// A URL or e-mail address piece by piece, its scheme left out: "example dot com slash faq".
void say_address(Speech& speech, std::string_view address);
// A run of letters and digits, with apostrophes inside: a word, an acronym, or both kinds mixed
// ("MP3" -> "M P three").
void say_token(Speech& speech, std::string_view token);
// Letters one by one, digits as numbers, signs by name: "a_b" -> "A underscore B".
void say_characters(Speech& speech, std::string_view text);
// The sign at `at`, which no rule took: punctuation, an operator, or nothing. Returns where to go
// on.
size_t say_sign(Speech& speech, size_t at);
// The name of an ASCII sign: '@' -> "at"; "" for what has none.
std::string_view sign_name(char sign);

bool is_ascii_digit(char c);
bool is_ascii_upper(char c);
bool is_ascii_lower(char c);
bool is_ascii_letter(char c);
bool is_ascii_alnum(char c);
std::string lower_ascii(std::string_view text);
// One of the words of a list, separated by single spaces.
bool in_list(std::string_view list, std::string_view word);

// For <say-as interpret-as="date">: the numbers of `written` in the order that `format` gives
// ("mdy", "dmy", "ym", ...). Nothing if they are not such a date.
std::optional<std::string> date_in_order(std::string_view written, std::string_view format);

// "a 5 km run", "a $20 bill": an article before, a noun after; then the unit is singular.
bool is_adjective(const Speech& speech, size_t begin, size_t end);

// Pieces of patterns. A number has grouping commas (also Indian) and decimals.
#define PARLEY_NUMBER                                                                                       \
  R"((?:(?:\d{1,3}(?:,\d{3}){1,12}(?![\d])|\d{1,2}(?:,\d{2}){1,6},\d{3}(?!\d)|\d{1,60}+)(?:\.\d{1,60}+)?|)" \
  R"(\.\d{1,60}+))"
// A minus sign that is not a hyphen.
#define PARLEY_MINUS "((?:(?<![A-Za-z0-9)%.])-|−)?)"
#define PARLEY_END "(?![A-Za-z0-9])"
#define PARLEY_MONTH                                                                           \
  "(Jan(?:uary|\\.)?|Feb(?:ruary|\\.)?|Mar(?:ch|\\.)?|Apr(?:il|\\.)?|May|June?\\.?|July?\\.?|" \
  "Aug(?:ust|\\.)?|Sept?(?:ember|\\.)?|Oct(?:ober|\\.)?|Nov(?:ember|\\.)?|Dec(?:ember|\\.)?)"

}  // namespace parley::text
