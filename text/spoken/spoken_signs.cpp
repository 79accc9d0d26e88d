// Punctuation, operators, and signs that no rule took.
#include <algorithm>

#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

namespace {

std::string_view operator_name(char sign) {
  switch (sign) {
    case '&':
      return "and";
    case '+':
      return "plus";
    case '=':
      return "equals";
    case '%':
      return "percent";
    case '@':
      return "at";
    case '<':
      return "less than";
    case '>':
      return "greater than";
    case '#':
      return "number";
    case '$':
      return "dollar";
    case '\\':
      return "backslash";
    default:
      return "";
  }
}

struct Sign {
  std::string_view bytes, words;
};

constexpr Sign kSigns[] = {{"×", "times"},  {"²", "squared"}, {"³", "cubed"},    {"°", "degrees"},
                           {"−", "minus"},  {"€", "euros"},   {"£", "pounds"},   {"¥", "yen"},
                           {"₹", "rupees"}, {"₩", "won"},     {"₽", "rubles"}, {"₿", "bitcoin"},
                           {"₺", "lira"},   {"₪", "shekels"}, {"₫", "dong"},     {"₴", "hryvnias"},
                           {"₦", "naira"},  {"¢", "cents"},   {"′", ""},         {"″", ""}};

// Signs that no rule took: punctuation, operators, what is silent. Returns where to go on.
class PlainSigns {
 public:
  explicit PlainSigns(Speech& speech) : speech_(speech) {}

  size_t say(size_t at) {
    const char c = speech_.text()[at];
    switch (c) {
      case ',':
      case ';':
      case ':':
      case '?':
      case '!':
        speech_.mark(std::string_view(&speech_.text()[at], 1));
        return at + 1;
      case '.':
        return say_period(at);
      case '(':
      case ')':
      case '[':
      case ']':
      case '{':
      case '}':
        speech_.mark(",");
        return at + 1;
      case '-':
        return say_hyphen(at);
      case '/':
        return say_slash(at);
      case '*':
        return between_numbers(at) ? (speech_.say("times"), at + 1) : at + 1;
      case '^':
        return say_power(at);
      case '|':
        speech_.mark(",");
        return at + 1;
      case '~':
        if (speech_.before(at) == '~' || speech_.after(at + 1) == '~') return at + 1;  // struck out
        if (!is_ascii_alnum(speech_.before(at)) &&
            (is_ascii_digit(speech_.after(at + 1)) || speech_.after(at + 1) == '$')) {
          speech_.say("approximately");
        }
        return at + 1;
      default:
        break;
    }
    if (static_cast<unsigned char>(c) >= 0x80) return say_other(at);
    // Signs of markup, "<<<", "====", are silent.
    if (c == '+' || (speech_.before(at) != c && speech_.after(at + 1) != c))
      speech_.say(operator_name(c));
    return at + 1;
  }

 private:
  size_t say_period(size_t at) {
    const std::string_view text = speech_.text();
    const size_t end = std::min(text.find_first_not_of('.', at), text.size());
    if (end - at >= 2) {
      speech_.mark("...");
    } else if (is_ascii_alnum(speech_.before(at)) && is_ascii_alnum(speech_.after(at + 1))) {
      // "report.pdf", but "the end.The next": a space is missing.
      const bool missing = is_ascii_lower(speech_.before(at)) &&
                           is_ascii_upper(speech_.after(at + 1)) &&
                           is_ascii_lower(speech_.after(at + 2));
      if (missing) {
        speech_.mark(".");
      } else {
        speech_.say("dot");
      }
    } else if (speech_.before(at) != ' ' || speech_.after(at + 1) == ' ') {
      speech_.mark(".");
    } else if (is_ascii_letter(speech_.after(at + 1))) {
      speech_.say("dot");  // ".env"
    }
    return end;
  }

  // Between words a hyphen; after a quantity and before a digit "to"; alone a pause.
  size_t say_hyphen(size_t at) {
    const char before = speech_.before(at), after = speech_.after(at + 1);
    if (is_ascii_digit(after) && ends_quantity(at)) {
      speech_.say("to");
    } else if (is_ascii_letter(before) && is_ascii_letter(after)) {
      speech_.join();
    } else if ((before == ' ' && after == ' ') || before == '-' || after == '-') {
      speech_.mark(",");
    }
    return at + 1;
  }

  // "5", "5%", "9am", "9 a.m.", but not "x86".
  bool ends_quantity(size_t at) const {
    const char before = speech_.before(at);
    const std::string word = lower_ascii(speech_.word_before(at));
    if (before == '%' || word == "am" || word == "pm") return true;
    if (before == '.' && at >= 2 && (speech_.before(at - 1) | 0x20) == 'm') return true;
    size_t begin = at;
    while (is_ascii_digit(speech_.before(begin))) --begin;
    return begin < at && !is_ascii_letter(speech_.before(begin));
  }

  size_t say_slash(size_t at) {
    const char before = speech_.before(at), after = speech_.after(at + 1);
    if (after == '/' || before == '/') return at + 1;
    if (is_ascii_alnum(before) && is_ascii_alnum(after)) speech_.say("slash");
    if (is_ascii_digit(before) && after == '$') speech_.say("for");  // "3/$10"
    if (before == ' ' && after == ' ' && at > 1) speech_.mark(",");
    return at + 1;
  }

  // After something that is no number: "m/s^2".
  size_t say_power(size_t at) {
    const char exponent = speech_.after(at + 1);
    const bool alone = !is_ascii_alnum(speech_.after(at + 2));
    if (alone && (exponent == '2' || exponent == '3')) {
      speech_.say(exponent == '2' ? "squared" : "cubed");
      return at + 2;
    }
    if (is_ascii_alnum(exponent)) speech_.say("to the power of");
    return at + 1;
  }

  bool between_numbers(size_t at) const {
    const bool spaces = speech_.before(at) == ' ';
    return at > 1 && is_ascii_digit(speech_.before(spaces ? at - 1 : at)) &&
           is_ascii_digit(speech_.after(spaces ? at + 2 : at + 1));
  }

  size_t say_other(size_t at) {
    const std::string_view text = speech_.text();
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("—") || rest.starts_with("–")) {
      const size_t end = at + 3;
      const bool range = rest.starts_with("–") && is_ascii_digit(speech_.after(end)) &&
                         is_ascii_alnum(speech_.before(at));
      if (range) {
        speech_.say("to");
      } else {
        speech_.mark(",");
      }
      return end;
    }
    for (const Sign& sign : kSigns) {
      if (!rest.starts_with(sign.bytes)) continue;
      speech_.say(sign.words);
      return at + sign.bytes.size();
    }
    return at + 1;
  }

  Speech& speech_;
};

}  // namespace

size_t say_sign(Speech& speech, size_t at) { return PlainSigns(speech).say(at); }

std::string_view sign_name(char sign) {
  switch (sign) {
    case '.':
      return "dot";
    case ',':
      return "comma";
    case ':':
      return "colon";
    case ';':
      return "semicolon";
    case '/':
      return "slash";
    case '\\':
      return "backslash";
    case '-':
      return "dash";
    case '_':
      return "underscore";
    case '@':
      return "at";
    case '#':
      return "hash";
    case '&':
      return "and";
    case '+':
      return "plus";
    case '=':
      return "equals";
    case '?':
      return "question mark";
    case '!':
      return "exclamation mark";
    case '%':
      return "percent";
    case '~':
      return "tilde";
    case '*':
      return "star";
    case '$':
      return "dollar";
    case '^':
      return "caret";
    case '|':
      return "bar";
    case '<':
      return "less than";
    case '>':
      return "greater than";
    case '\'':
      return "apostrophe";
    case '"':
      return "quote";
    case '(':
      return "open parenthesis";
    case ')':
      return "close parenthesis";
    case '[':
      return "open bracket";
    case ']':
      return "close bracket";
    case '{':
      return "open brace";
    case '}':
      return "close brace";
    case '`':
      return "backquote";
    default:
      return "";
  }
}

}  // namespace parley::text
