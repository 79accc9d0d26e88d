// URLs, e-mail addresses, telephone numbers, versions: what is said piece by piece.
#include <algorithm>

#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

namespace {

// What ends a sentence rather than the address in it.
size_t without_final_punctuation(std::string_view text, size_t begin, size_t end) {
  while (end > begin &&
         std::string_view(".,;:!?'\")]}>*").find(text[end - 1]) != std::string_view::npos)
    --end;
  return end;
}

// Words as words, digits in small groups as numbers, signs by name: "dev.example.com/a-b".
void say_pieces(Speech& speech, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (!is_ascii_alnum(text[at])) {
      speech.say(sign_name(text[at++]));
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && is_ascii_alnum(text[at])) ++at;
    const std::string_view piece = text.substr(begin, at - begin);
    const bool vowels = piece.find_first_of("aeiouyAEIOUY") != std::string_view::npos;
    const bool letters = std::ranges::none_of(piece, is_ascii_digit);
    if ((letters && !vowels && piece.size() > 1 && piece.size() < 6) ||
        in_list("url api", lower_ascii(piece))) {
      say_characters(speech, piece);
    } else {
      say_token(speech, piece);
    }
  }
}

size_t say_whole_address(Speech& speech, const Match& match) {
  const size_t end = without_final_punctuation(speech.text(), match.begin(), match.end());
  say_address(speech, speech.text().substr(match.begin(), end - match.begin()));
  return end;
}

// "ISBN 978-3-16-148410-0": group by group.
size_t say_isbn(Speech& speech, const Match& match) {
  speech.say("I S B N");
  speech.mark(",");
  const std::string_view digits = match[1];
  for (size_t at = 0; at < digits.size();) {
    const size_t end = std::min(digits.find_first_of("- ", at), digits.size());
    std::string_view group = digits.substr(at, end - at);
    const bool ten = group.ends_with('X') || group.ends_with('x');
    if (ten) group.remove_suffix(1);
    speech.say(digit_by_digit(group));
    if (ten) speech.say("X");
    if (end < digits.size()) speech.mark(",");
    at = end + 1;
  }
  return match.end();
}

// "C#", "F#".
size_t say_sharp(Speech& speech, const Match& match) {
  speech.say({match[1], "sharp"});
  return match.end();
}

size_t say_dot_net(Speech& speech, const Match& match) {
  speech.say("dot net");
  return match.end();
}

bool is_emergency(std::string_view number) {
  return in_list("112 911 999 110 118 119 101 111 000", number);
}

// "112/911".
size_t say_emergencies(Speech& speech, const Match& match) {
  if (!is_emergency(match[1]) || !is_emergency(match[2])) return Rule::kNotThis;
  speech.say(digit_by_digit(match[1]));
  speech.mark(",");
  speech.say(digit_by_digit(match[2]));
  return match.end();
}

// "Call 112", "112 or 911".
size_t say_emergency(Speech& speech, const Match& match) {
  static const Pattern kTelephone(
      "(?i)\\b(?:calls?|call(?:ed|ing)|dial|dial(?:ed|led|ing)|ring|phone|emergency|emergencies|"
      "911)\\b");
  if (!is_emergency(match[0]) || !kTelephone.search(speech.text())) return Rule::kNotThis;
  speech.say(digit_by_digit(match[0]));
  return match.end();
}

size_t say_handle(Speech& speech, const Match& match) {
  speech.say(match[1] == "@" ? "at" : "hashtag");
  say_pieces(speech, match[2]);
  return match.end();
}

// "C:\Users", "/usr/local/bin", "~/notes.txt".
size_t say_path(Speech& speech, const Match& match) { return say_whole_address(speech, match); }

// Groups of digits with a pause between them, "oh" for zero; 800 is a number.
size_t say_telephone(Speech& speech, const Match& match) {
  const std::string_view text = speech.text().substr(match.begin(), match.end() - match.begin());
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '+') speech.say("plus");
    if (is_ascii_letter(text[at])) {  // 1-800-FLOWERS
      speech.say(lower_ascii(text.substr(at)));
      break;
    }
    if (!is_ascii_digit(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (at < text.size() && is_ascii_digit(text[at])) ++at;
    const std::string_view group = text.substr(begin, at - begin);
    speech.say(group == "800" || group == "900" ? cardinal(group) : digit_by_digit(group, "oh"));
    if (std::ranges::any_of(text.substr(at), is_ascii_alnum)) speech.mark(",");
  }
  return match.end();
}

// "020 7946 0958", "(0171) 1234567": nine digits or more that begin with zero.
size_t say_national_telephone(Speech& speech, const Match& match) {
  if (std::ranges::count_if(match[0], is_ascii_digit) < 9) return Rule::kNotThis;
  return say_telephone(speech, match);
}

// "555-1234", but not "500-1000".
size_t say_local_telephone(Speech& speech, const Match& match) {
  if (match[2].ends_with("00") && !match[2].starts_with('0')) return Rule::kNotThis;
  return say_telephone(speech, match);
}

size_t say_digits_with_dots(Speech& speech, const Match& match) {
  const bool address = std::ranges::count(match[2], '.') == 3;
  if (!match[1].empty()) speech.say("version");
  bool first = true;
  for (size_t at = 0; at <= match[2].size();) {
    const std::string_view rest = match[2].substr(at);
    const std::string_view part = rest.substr(0, rest.find('.'));
    if (!first) speech.say(address ? "dot" : "point");
    speech.say(address || (part.size() > 1 && part[0] == '0') ? digit_by_digit(part)
                                                              : cardinal(part));
    at += part.size() + 1;
    first = false;
  }
  return match.end();
}

// Card numbers, social security numbers.
size_t say_digit_groups(Speech& speech, const Match& match) {
  const std::string_view text = speech.text().substr(match.begin(), match.end() - match.begin());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    while (at < text.size() && is_ascii_digit(text[at])) ++at;
    speech.say(digit_by_digit(text.substr(begin, at - begin)));
    if (at++ < text.size()) speech.mark(",");
  }
  return match.end();
}

#define DOMAINS                                                                                   \
  "(?:com|org|net|edu|gov|mil|int|info|biz|io|co|ai|app|dev|tv|me|uk|us|ca|de|fr|eu|au|jp|cn|in|" \
  "it|nl|"                                                                                        \
  "es|ch|se|no|nz|ie|ru|br|xyz|news|blog|tech)"

// A postal code rather than a quantity: five digits that count nothing, alone between commas, after
// a name or a state, or said to be one.
size_t say_postal_code(Speech& speech, const Match& match) {
  const std::string_view before = speech.word_before(match.begin());
  static const Pattern kSaid("(?i)\\b(?:zip|post ?code|zip ?code|postal code)(?: is| was|:|,)? $");
  const bool counts = match[0].ends_with("00") || (speech.after(match.end()) == ' ' &&
                                                   is_ascii_lower(speech.after(match.end() + 1)));
  const std::string_view head = speech.text().substr(0, match.begin());
  const bool said =
      kSaid.search(head.substr(head.size() - std::min<size_t>(head.size(), 24))).has_value();
  const bool named =
      before.size() > 1 && is_ascii_upper(before[0]) && head.size() > before.size() + 1;
  const bool alone = head.empty() || head.ends_with(", ") || head.ends_with('(');
  if (!said && (counts || !(named || alone))) return Rule::kNotThis;
  speech.say(digit_by_digit(match[0]));
  return match.end();
}

}  // namespace

void say_address(Speech& speech, std::string_view address) {
  static const Pattern kScheme("(?i)(?:https?://|ftp://|mailto:)");
  if (const auto scheme = kScheme.match_at(address, 0)) address.remove_prefix(scheme->end());
  say_pieces(speech, address);
}

std::vector<Rule> address_rules() {
  std::vector<Rule> rules;
  const auto add = [&](unsigned starts, const char* pattern, size_t (*say)(Speech&, const Match&)) {
    rules.push_back({starts, Pattern(pattern), say});
  };
  add(kLetter, R"((?i:https?|ftp)://[!-~]{1,2000}+)", say_whole_address);
  add(kLetter | kDigit,
      R"([A-Za-z0-9][\w.+%-]{0,63}+@[A-Za-z0-9-]{1,63}+(?:\.[A-Za-z0-9-]{1,63}+){1,8}+)",
      say_whole_address);
  add(kLetter, R"((?i:www)\.[!-~]{1,2000}+)", say_whole_address);
  add(kLetter | kDigit,
      R"((?:[A-Za-z0-9-]{1,63}+\.){1,4})" DOMAINS
      R"((?![\w@-]|\.[A-Za-z])(?::\d{1,5})?(?:/[!-~]{0,1000}+)?)",
      say_whole_address);
  add(kSign, R"((@|#)([A-Za-z_]\w{0,100}+))", say_handle);
  add(kUpper, R"([A-Z]:\\[!-~]{0,300}+)", say_path);
  add(kSign, R"((?<![\w/.])~?/(?:[\w.-]{1,100}+/?){1,30}+(?=[\s,;:!?)'"]|$))", say_path);
  add(kUpper, R"(ISBN(?:-1[03])?:? ?((?:97[89][- ]?)?\d[\d -]{7,14}[\dXx])(?!\w))", say_isbn);
  add(kUpper, R"(([A-G])#(?![\w#]))", say_sharp);
  add(kSign, R"(\.(?:NET|Net)(?![\w-]))", say_dot_net);
  add(kDigit | kSign, R"((?:\(0\d{1,5}\)|0\d{1,5})(?:[ /-]\d{2,9}){1,4}(?![\w/-]))",
      say_national_telephone);
  add(kDigit, R"(0\d{9,10}(?![\w.,]\d|\w))", say_national_telephone);
  add(kDigit, R"(\d{5}(?![\w$€£%°/-]| ?[%€$£°]|[.,:]\d))", say_postal_code);
  add(kDigit, R"((\d{3})/(\d{3})(?![\w/]))", say_emergencies);
  add(kDigit, R"(\d{3}(?![\w/-]|[.,:]\d))", say_emergency);
  add(kDigit | kSign, R"((?:\+?1[ .-]?)?\(\d{3}\) ?\d{3}[ .-]\d{4}(?!\w))", say_telephone);
  add(kDigit | kSign, R"((?:\+?1[ .-])?\d{3}([ .-])\d{3}\1\d{4}(?![\w-]))", say_telephone);
  add(kDigit, R"(1-[89]\d\d-[A-Z]{3,9}(?![\w-]))", say_telephone);
  add(kSign, R"(\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,6}(?!\w))", say_telephone);
  add(kDigit, R"((\d{3})-(\d{4})(?![\w-]))", say_local_telephone);
  add(kDigit, R"((?:\d{3}-\d{2}|\d{5})-\d{4}(?![\w-]))", say_digit_groups);
  add(kDigit, R"(\d{4}([ -])\d{4}(?:\1\d{4}){1,3}(?!\w))", say_digit_groups);
  add(kDigit | kLetter,
      R"(([vV]?)(?!\d{1,2}\.\d{1,2}\.\d{4}(?!\d))(\d{1,9}(?:\.\d{1,9}){2,8})(?![\w]|\.\d))",
      say_digits_with_dots);
  add(kLetter, R"((v(?=\d{1,3}(?:\D|$))|[vV](?=\d+\.\d))(\d{1,9}(?:\.\d{1,9})?)(?![\w]|\.\d))",
      say_digits_with_dots);
  return rules;
}

}  // namespace parley::text
