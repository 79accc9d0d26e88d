#include "parley/text/spoken/sentence_ends.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <string>

#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr size_t kLookAhead = 64;
constexpr size_t kListMark = 8;  // bytes of the longest: "###### "

// Never at the end of a sentence: a name or a number follows.
constexpr std::u32string_view kTerminators = U".!?\u2026\u3002\uFF0E\uFF01\uFF1F\u0964\u061F\u06D4";
constexpr std::u32string_view kWide = U"\u3002\uFF0E\uFF01\uFF1F";  // no white space follows these
constexpr std::u32string_view kClosing = U"\"')]}\u2019\u201D\u00BB\u203A\u300D\u300F\uFF09";
constexpr std::u32string_view kOpening =
    U"\"'([{\u2018\u201C\u00AB\u2039\u00BF\u00A1*_#->`\u2013\u2014";

constexpr std::string_view kBeforeName =
    " mr mrs ms messrs dr prof gen sen rep gov capt cpt lt col sgt cpl maj cmdr adm rev hon pres "
    "supt mt ft e.g i.e cf viz vs approx ca ";
constexpr std::string_view kBeforeNumber =
    " no nos p pp fig figs vol vols ch sec art eq pt rm ste apt c l ll tel ext jan feb mar apr jun "
    "jul aug sep sept oct nov dec ";
constexpr std::string_view kBeforeDate = " mon tue tues wed thu thur thurs fri sat sun ";
constexpr std::string_view kMonths =
    " january february march april may june july august september october november december jan "
    "feb "
    "mar apr jun jul aug sep sept oct nov dec ";
// May end a sentence: they do when a word follows that often begins one.
constexpr std::string_view kMayEnd =
    " etc inc ltd co corp jr sr esq bros st al ave blvd rd ln hwy pkwy dept univ assn ph.d oz lb "
    "lbs hr hrs ";
constexpr std::string_view kStarters =
    " the a an he she it they we i you his her its their our my your this that these those there "
    "here in on at by for from with to of as if when while after before since because although "
    "but and so or yet not no then thus however what who why where how which some many most all "
    "each every both one two three once now today yesterday tomorrow meanwhile later finally "
    "first second ";

// Belongs to an hour before it: "10 a.m. Monday".
constexpr std::string_view kAfterHour =
    " monday tuesday wednesday thursday friday saturday sunday january february march april may "
    "june july august september october november december eastern central mountain pacific est "
    "edt cst cdt mst mdt pst pdt gmt utc et ct pt bst cet ";

bool in(std::u32string_view set, char32_t c) { return set.find(c) != std::u32string_view::npos; }

bool in_words(std::string_view list, std::string_view word) {
  const std::string key = std::string(" ").append(word).append(" ");
  return !word.empty() && list.find(key) != std::string_view::npos;
}

bool is_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0; }
bool is_letter(char32_t c) { return u_isalpha(static_cast<UChar32>(c)) != 0; }
bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }

// What stands after a possible end.
struct Following {
  bool decided = false;
  bool white_space = false;
  bool blank_line = false;
  bool list_item = false;  // begins with "- ", "• ", "2. ", "b) "
  bool at_end = false;     // nothing but white space follows
  size_t end = 0;          // of the closing quotes
  char32_t first = 0;      // after white space and opening quotes
  std::string word;        // lower case, if it begins with an ASCII letter
};

class Ahead {
 public:
  Ahead(std::string_view text, size_t at, bool complete)
      : text_(text.substr(0, std::min(text.size(), at + kLookAhead))),
        at_(at),
        limited_(complete || text.size() > at + kLookAhead) {}

  Following read() {
    Following following;
    take(kClosing);
    following.end = at_;
    size_t lines = 0;
    while (more() && is_space(peek())) {
      following.white_space = true;
      lines += peek() == '\n' ? 1 : 0;
      step();
    }
    following.blank_line = lines > 1;
    if (lines > 0 && !limited_ && text_.size() - at_ < kListMark) return following;
    following.list_item = lines > 0 && (is_list_item() || is_block());
    take(kOpening);
    if (!more()) {
      following.decided = limited_;
      following.at_end = true;
      return following;
    }
    if (is_cut()) return following;
    following.first = peek();
    while (more() && peek() < 0x80 && is_letter(peek())) {
      following.word += static_cast<char>(peek() | 0x20);
      step();
    }
    following.decided = more() || limited_;
    return following;
  }

 private:
  bool is_list_item() const {
    size_t at = at_;
    if (!more()) return false;
    const CodePoint first = first_code_point(text_.substr(at));
    if (in(U"-*+\u2022\u2013", first.value)) {
      at += first.length;
    } else {
      while (at < text_.size() && at - at_ < 3 && is_digit(static_cast<unsigned char>(text_[at])))
        ++at;
      if (at == at_ && u_isalpha(static_cast<UChar32>(first.value)) != 0) at += first.length;
      if (at == at_ || at >= text_.size() || (text_[at] != '.' && text_[at] != ')')) return false;
      ++at;
    }
    return at < text_.size() && text_[at] == ' ';
  }

  // Markdown: a heading or the line under it, a fence of code, a row of a table.
  bool is_block() const {
    const std::string_view rest = text_.substr(std::min(at_, text_.size()));
    static constexpr std::string_view kMarks[] = {"```", "~~~", "===", "---", "***", "|"};
    const size_t heading = rest.find_first_not_of('#');
    if (heading > 0 && heading <= 6 && rest[heading] == ' ') return true;
    return std::ranges::any_of(kMarks, [&](std::string_view m) { return rest.starts_with(m); });
  }

  bool more() const { return at_ < text_.size(); }
  char32_t peek() const { return first_code_point(text_.substr(at_)).value; }
  // A code point whose last bytes are not here yet.
  bool is_cut() const {
    return !limited_ && first_code_point(text_.substr(at_)).status == Utf8Status::kIncomplete;
  }
  void step() { at_ += first_code_point(text_.substr(at_)).length; }
  void take(std::u32string_view set) {
    while (more() && in(set, peek())) step();
  }

  std::string_view text_;
  size_t at_;
  bool limited_;  // nothing more will be looked at
};

// The last code point of `text`, which must not be empty.
CodePoint last_code_point(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
  const CodePoint point = first_code_point(text.substr(begin));
  if (begin + point.length == text.size()) return point;
  return {kReplacementCharacter, 1, Utf8Status::kInvalid};
}

// The run of letters, digits and inner periods that ends before `at`, in lower case.
std::string token_before(std::string_view text, size_t at) {
  size_t begin = at;
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
  };
  while (begin > 0 && at - begin < 24 && inner(text[begin - 1])) --begin;
  std::string token(text.substr(begin, at - begin));
  token.erase(0, token.find_first_not_of('.'));
  std::ranges::transform(token, token.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  });
  return token;
}

bool is_initials(const std::string& token) {
  for (size_t i = 0; i < token.size(); ++i) {
    const bool period = i % 2 == 1;
    if (period != (token[i] == '.') || (!period && is_digit(static_cast<unsigned char>(token[i]))))
      return false;
  }
  return !token.empty();
}

// "1." at the beginning of a sentence numbers it.
bool is_list_number(std::string_view text, size_t at, const std::string& token) {
  const bool number =
      std::ranges::all_of(token, [](char c) { return is_digit(static_cast<unsigned char>(c)); });
  return at == token.size() && token.size() <= 3 && (number || token.size() == 1) &&
         text[at] == '.';
}

// Whether the period at `at` belongs to an abbreviation and ends nothing.
bool is_abbreviation(std::string_view text, size_t at, const Following& following) {
  const std::string token = token_before(text, at);
  if (token.empty() || following.at_end) return false;
  if (is_list_number(text, at, token)) return true;
  if (in_words(kBeforeName, token)) return true;
  if (in_words(kBeforeNumber, token) && is_digit(following.first)) return true;
  if (in_words(kBeforeDate, token))
    return is_digit(following.first) || in_words(kMonths, following.word);
  if (token == "a.m" || token == "p.m") return in_words(kAfterHour, following.word);
  // The pronoun ends sentences, "So do I."; a Roman I too.
  // "Objective-C." is a name.
  const bool joined = at > token.size() && text[at - token.size() - 1] == '-';
  if ((is_initials(token) && !joined) || in_words(kMayEnd, token))
    return !in_words(kStarters, following.word);
  return false;
}

SentenceEnd after_terminator(std::string_view text, size_t at, const CodePoint& point,
                             bool complete) {
  size_t end = at + point.length;
  // "?!", "...": one end.
  while (end < text.size() && end - at < 16) {
    const CodePoint next = first_code_point(text.substr(end));
    if (!in(kTerminators, next.value) || next.status != Utf8Status::kValid) break;
    end += next.length;
  }
  if (end == text.size() && !complete) return {SentenceEnd::kUndecided, at};
  const Following following = Ahead(text, end, complete).read();
  if (!following.decided) return {SentenceEnd::kUndecided, at};
  const SentenceEnd goes_on = {SentenceEnd::kGoesOn, end};
  const bool paragraph = following.blank_line || following.at_end;
  const SentenceEnd ends = {SentenceEnd::kEnds, following.end, paragraph};
  if (in(kWide, point.value)) return ends;
  if (!following.white_space && !following.at_end) return goes_on;
  if (following.blank_line || following.at_end) return ends;
  if (u_islower(static_cast<UChar32>(following.first)) != 0) return goes_on;
  const bool period = point.value == '.' && end - at == 1;
  return period && is_abbreviation(text, at, following) ? goes_on : ends;
}

}  // namespace

SentenceEnd sentence_end(std::string_view text, size_t at, bool complete) {
  const CodePoint point = first_code_point(text.substr(at));
  if (point.status == Utf8Status::kIncomplete && !complete) return {SentenceEnd::kUndecided, at};
  if (in(kTerminators, point.value)) return after_terminator(text, at, point, complete);
  if (point.value != '\n') return {SentenceEnd::kGoesOn, at + point.length};
  const Following following = Ahead(text, at, complete).read();
  if (!following.decided) return {SentenceEnd::kUndecided, at};
  // A line that is a block of its own.
  const size_t heading = text.find_first_not_of('#');
  const bool block = (heading > 0 && heading <= 6 && text[heading] == ' ') ||
                     text.starts_with("```") || text.starts_with("~~~") || text.starts_with('|');
  if (block) return {SentenceEnd::kEnds, at, true};
  if (!following.blank_line && !following.list_item) return {SentenceEnd::kGoesOn, at + 1};
  return {SentenceEnd::kEnds, at, following.blank_line};
}

bool ends_line_and_sentence(std::string_view text) {
  size_t end = text.size();
  bool line = false;
  const auto last = [&] { return last_code_point(text.substr(0, end)); };
  while (end > 0 && is_space(last().value)) {
    line = line || text[end - 1] == '\n';
    end -= last().length;
  }
  while (end > 0 && in(kClosing, last().value)) end -= last().length;
  if (!line || end == 0 || !in(kTerminators, last().value)) return false;
  if (text[end - 1] != '.') return true;
  const std::string token = token_before(text, end - 1);
  return !is_initials(token) && !in_words(kBeforeName, token) && !in_words(kBeforeNumber, token) &&
         !in_words(kMayEnd, token);
}

}  // namespace parley::text
