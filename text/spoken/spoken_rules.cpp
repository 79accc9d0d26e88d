#include "parley/text/spoken/spoken_rules.h"

#include <algorithm>

namespace parley::text {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_ascii_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_ascii_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_ascii_letter(char c) { return is_ascii_upper(c) || is_ascii_lower(c); }
bool is_ascii_alnum(char c) { return is_ascii_letter(c) || is_ascii_digit(c); }

std::string lower_ascii(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = is_ascii_upper(c) ? static_cast<char>(c + 32) : c;
  return lower;
}

bool in_list(std::string_view list, std::string_view word) {
  if (word.empty()) return false;
  for (size_t at = list.find(word); at != std::string_view::npos; at = list.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || list[at - 1] == ' ') && (end == list.size() || list[end] == ' ')) return true;
  }
  return false;
}

// --- Speech ---

std::string_view Speech::mark_of(std::string_view word) {
  const size_t end = word.find_last_not_of(",.?!;:");
  return end == std::string_view::npos ? word : word.substr(end + 1);
}

void Speech::say(std::string_view words) {
  std::string word;
  const auto finish = [&] {
    const size_t first = word.find_first_not_of("-");
    if (first == std::string::npos) return word.clear();
    if (join_) {
      words_.back().text.append("-").append(word.substr(first));
    } else {
      words_.push_back({word.substr(first), {}});
    }
    join_ = false;
    word.clear();
  };
  for (const char c : words) {
    if (is_ascii_letter(c) || c == '\'' || c == '-') word += c;
    if (c == ' ' || c == ',') finish();
    if (c == ',') mark(",");
  }
  finish();
}

void Speech::say(std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) say(part);
}

void Speech::mark(std::string_view mark) {
  join_ = false;
  if (words_.empty()) return;
  std::string& word = words_.back().text;
  const std::string_view present = mark_of(word);
  const auto strength = [](std::string_view m) { return std::string_view(",:;.!?").find(m[0]); };
  if (!present.empty() && (strength(present) >= strength(mark) || present.size() > 1)) return;
  word.resize(word.size() - present.size());
  word += mark;
}

void Speech::mark_if_last(size_t end) {
  if (text_.find_first_not_of(" \"')]}", end) == std::string_view::npos) mark(".");
}

std::string_view Speech::word_before(size_t at) const {
  size_t end = std::min(at, text_.size());
  if (end > 0 && text_[end - 1] == '.' && end == at) return "";
  if (end > 0 && (text_[end - 1] == ' ' || text_[end - 1] == '-')) --end;
  size_t begin = end;
  while (begin > 0 && is_ascii_letter(text_[begin - 1])) --begin;
  return text_.substr(begin, end - begin);
}

std::string_view Speech::word_after(size_t at) const {
  size_t begin = std::min(at, text_.size());
  if (begin < text_.size() && (text_[begin] == ' ' || text_[begin] == '-')) ++begin;
  size_t end = begin;
  while (end < text_.size() && is_ascii_letter(text_[end])) ++end;
  return text_.substr(begin, end - begin);
}

bool is_adjective(const Speech& speech, size_t begin, size_t end) {
  const std::string article = lower_ascii(speech.word_before(begin));
  if (article != "a" && article != "an") return false;
  if (speech.after(end) != ' ') return false;
  const std::string_view noun = speech.word_after(end);
  static constexpr std::string_view kNoNouns =
      "of in to for and or at on by from with is was per each every more less away ago if when as "
      "but than";
  return noun.size() > 1 && is_ascii_lower(noun[0]) && !in_list(kNoNouns, noun);
}

}  // namespace parley::text
