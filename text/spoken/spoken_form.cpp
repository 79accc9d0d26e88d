#include "parley/text/spoken/spoken_form.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "parley/text/concat.h"
#include "parley/text/spoken/spoken_capitals.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

struct EnglishSpokenForm::Rules {
  CharacterFolder folder;
  std::vector<Rule> in_order;
};

namespace {

unsigned class_of(char c) {
  if (is_ascii_upper(c)) return kUpper;
  if (is_ascii_lower(c)) return kLower;
  return is_ascii_digit(c) ? kDigit : kSign;
}

// A letter run with apostrophes inside, and digits: what say_token takes.
size_t token_end(std::string_view text, size_t at) {
  const auto alnum = [&](size_t i) { return i < text.size() && is_ascii_alnum(text[i]); };
  while (alnum(at) || (at < text.size() && text[at] == '\'' && alnum(at + 1))) ++at;
  return at;
}

SourceRange source_of(const FoldedText& folded, size_t begin, size_t end) {
  return {folded.source[begin].begin, folded.source[end - 1].end};
}

// Words said since `first` were read from [begin, end) of the folded text.
void set_source(std::vector<SpokenWord>& words, size_t first, const FoldedText& folded,
                size_t begin, size_t end) {
  const SourceRange source = source_of(folded, begin, end);
  for (size_t i = first; i < words.size(); ++i) words[i].source = source;
}

// At least one character on; at most to the end.
size_t say_at(Speech& speech, const std::vector<Rule>& rules, size_t at) {
  const std::string_view text = speech.text();
  const unsigned kind = class_of(text[at]);
  const bool inside = kind != kSign && is_ascii_alnum(speech.before(at));
  if (!inside) {
    for (const Rule& rule : rules) {
      if ((rule.starts & kind) == 0) continue;
      const std::optional<Match> match = rule.pattern.match_at(text, at);
      if (!match) continue;
      if (const size_t end = rule.say(speech, *match); end > at) return end;
    }
  }
  if (kind == kSign) return say_sign(speech, at);
  const size_t end = token_end(text, at);
  say_token(speech, text.substr(at, end - at));
  return end;
}

SpokenForm say_all(const FoldedText& folded, const std::vector<Rule>& rules) {
  Speech speech(folded.text);
  for (size_t at = 0; at < folded.text.size();) {
    if (folded.text[at] == ' ') {
      ++at;
      continue;
    }
    const size_t first = speech.words().size();
    const size_t end = say_at(speech, rules, at);
    set_source(speech.words(), first, folded, at, end);
    at = end;
  }
  // A bracket that closes the text is no pause.
  const size_t last = folded.text.find_last_not_of(' ');
  if (!speech.words().empty() && speech.words().back().text.ends_with(',') &&
      folded.text[last] != ',') {
    speech.words().back().text.pop_back();
  }
  return {std::move(speech.words()), folded.unspeakable, folded.romanized};
}

// The words of a function over the whole text.
SpokenForm whole(const FoldedText& folded, const std::function<void(Speech&)>& say) {
  Speech speech(folded.text);
  say(speech);
  if (!folded.text.empty()) set_source(speech.words(), 0, folded, 0, folded.text.size());
  return {std::move(speech.words()), folded.unspeakable, folded.romanized};
}

void say_digit_groups(Speech& speech, std::string_view zero) {
  const std::string_view text = speech.text();
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (is_ascii_digit(c)) {
      speech.say(digit_by_digit(text.substr(at, 1), zero));
    } else if (is_ascii_letter(c)) {
      const size_t end = token_end(text, at);
      say_token(speech, text.substr(at, end - at));
      at = end - 1;
    } else if (c == '+') {
      speech.say("plus");
    } else if (c != ' ' || zero == "oh") {
      speech.mark(",");
    }
  }
}

// The words for what is of its kind; nothing for what is not.
std::optional<std::string> spoken_as(SayAs kind, std::string_view text, std::string_view format) {
  static const Pattern kNumber(R"( *(-?)(\d[\d,]*)(\.\d+)? *$)");
  static const Pattern kFraction(R"( *(\d+)/(\d+) *$)");
  if (kind == SayAs::kDate) return date_in_order(text, format.empty() ? "mdy" : format);
  if (kind == SayAs::kFraction) {
    const std::optional<Match> match = kFraction.match_at(text, 0);
    return match ? std::optional(fraction((*match)[1], (*match)[2])) : std::nullopt;
  }
  const std::optional<Match> number = kNumber.match_at(text, 0);
  if (!number) return std::nullopt;
  std::string digits((*number)[2]);
  std::erase(digits, ',');
  const bool whole = !number->has(3) && (*number)[1].empty();
  if (kind == SayAs::kOrdinal && whole) return ordinal(digits);
  if (kind == SayAs::kYear && whole) return year(digits);
  if (kind != SayAs::kCardinal) return std::nullopt;
  const std::string_view minus = (*number)[1].empty() ? "" : "minus ";
  if (!number->has(3)) return concat({minus, cardinal(digits)});
  return concat({minus, decimal(concat({digits, (*number)[3]}))});
}

}  // namespace

EnglishSpokenForm::EnglishSpokenForm() : rules_(std::make_unique<Rules>()) {
  for (auto* make : {markup_rules, address_rules, calendar_rules, quantity_rules, word_rules}) {
    for (Rule& rule : make()) rules_->in_order.push_back(std::move(rule));
  }
}

EnglishSpokenForm::~EnglishSpokenForm() = default;
EnglishSpokenForm::EnglishSpokenForm(EnglishSpokenForm&&) noexcept = default;
EnglishSpokenForm& EnglishSpokenForm::operator=(EnglishSpokenForm&&) noexcept = default;

std::string SpokenForm::text() const {
  std::string text;
  for (const SpokenWord& word : words) text.append(text.empty() ? "" : " ").append(word.text);
  return text;
}

SpokenForm EnglishSpokenForm::speak(std::string_view written) const {
  FoldedText folded = rules_->folder.fold(written);
  folded.text = in_small_letters(folded.text);
  return say_all(folded, rules_->in_order);
}

SpokenForm EnglishSpokenForm::speak_as(SayAs kind, std::string_view written,
                                       std::string_view format) const {
  const FoldedText folded = rules_->folder.fold(written);
  if (kind == SayAs::kCharacters) {
    return whole(folded, [&](Speech& speech) { say_characters(speech, folded.text); });
  }
  if (kind == SayAs::kDigits || kind == SayAs::kTelephone) {
    return whole(folded, [&](Speech& speech) {
      say_digit_groups(speech, kind == SayAs::kTelephone ? "oh" : "zero");
    });
  }
  if (const auto words = spoken_as(kind, folded.text, format)) {
    return whole(folded, [&](Speech& speech) { speech.say(*words); });
  }
  return say_all(folded, rules_->in_order);
}

}  // namespace parley::text
