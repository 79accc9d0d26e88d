// Money, units, percentages, fractions, ranges and plain numbers.
#include <algorithm>
#include <utility>

#include "parley/text/concat.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"
#include "parley/text/spoken/spoken_units.h"

namespace parley::text {

namespace {

constexpr std::string_view kSignCurrencies =
    "(?:US|AU|A|CA|C|HK|NZ|R)?\\$|€|£|¥|₹|₩|₽|₿|₺|₪|₫|₴|₦";
constexpr std::string_view kCodeCurrencies =
    "USD|EUR|GBP|JPY|CNY|CHF|CAD|AUD|INR|SEK|NOK|DKK|BRL|MXN|RUB";
constexpr std::string_view kScale =
    "(?:[ "
    "-]?(hundred|thousand|million|billion|trillion|mn|mm|bn|tn|k|K|m|M|b|B|T)(?![A-Za-z0-9]))?";
constexpr std::string_view kRange = "(?:(?:\\s?–\\s?|-)(" PARLEY_NUMBER "))?";
constexpr std::string_view kPer = "(?:/([A-Za-z]{1,12})" PARLEY_END ")?";
// Numbers and fractions: "3", "1,000.5", "3/4", "2 1/2", "2-1/2".
constexpr std::string_view kAmount =
    "((?:(?:\\d{1,12}[ -])?\\d{1,4}/\\d{1,4}(?![\\d/])|" PARLEY_NUMBER "))";

// Longest first, so that "mm" is not taken for "m".
std::string unit_alternatives() {
  std::vector<std::string_view> signs;
  for (const Unit& unit : units()) signs.push_back(unit.sign);
  std::ranges::stable_sort(signs, std::ranges::greater(), &std::string_view::size);
  std::string alternatives;
  for (const std::string_view sign : signs) {
    if (!alternatives.empty()) alternatives += '|';
    if (sign.ends_with('2') || sign.ends_with('3')) {
      alternatives += concat(
          {sign.substr(0, sign.size() - 1), sign.ends_with('2') ? "(?:²|2|\\^2)" : "(?:³|3|\\^3)"});
    } else {
      alternatives += sign;
    }
  }
  return alternatives;
}

std::string_view scale_word(std::string_view scale) {
  if (scale == "k" || scale == "K") return "thousand";
  if (scale == "m" || scale == "M" || scale == "mn" || scale == "mm") return "million";
  if (scale == "b" || scale == "B" || scale == "bn") return "billion";
  if (scale == "T" || scale == "tn") return "trillion";
  return scale;
}

// "/lb", "/month" -> "per pound", "per month".
std::string per(std::string_view unit) {
  if (unit.empty()) return "";
  if (unit == "mo") return " per month";
  if (unit == "wk") return " per week";
  if (unit == "ea") return " each";
  const Unit* known = find_unit(unit);
  return concat({" per ", known != nullptr ? known->singular : unit});
}

bool is_one(std::string_view number) { return without_leading_zeros(number) == "1"; }

// --- money ---

struct Money {
  const Currency* currency;
  std::string_view minus, amount, upper, scale, per;
  bool singular;  // an adjective
};

std::string cents_and(const Money& money, std::string_view whole, std::string_view cents) {
  const std::string minor =
      cardinal(cents) + " " +
      std::string(is_one(cents) ? money.currency->cent : money.currency->cents);
  if (whole.find_first_not_of('0') == std::string_view::npos) return minor;
  const bool one = is_one(whole) || money.singular;
  return concat({decimal(whole), " ", one ? money.currency->singular : money.currency->plural,
                 " and ", minor});
}

std::string spoken_money(const Money& money) {
  std::string words = money.minus.empty() ? "" : "minus ";
  const size_t point = money.amount.find('.');
  const std::string_view whole = money.amount.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : money.amount.substr(point + 1);
  const bool cents = fraction.size() == 2 && !money.currency->cent.empty() && money.scale.empty() &&
                     money.upper.empty();
  if (cents && fraction != "00") return words + cents_and(money, whole, fraction) + per(money.per);
  const std::string_view amount = !cents ? money.amount : whole.empty() ? "0" : whole;
  words += decimal(amount);
  if (!money.upper.empty()) words.append(" to ").append(decimal(money.upper));
  if (!money.scale.empty()) words.append(" ").append(scale_word(money.scale));
  const bool one = is_one(amount) && money.upper.empty() && money.scale.empty();
  words.append(" ").append(one || money.singular ? money.currency->singular
                                                 : money.currency->plural);
  return words + per(money.per);
}

// "$5", "USD 5", "-$5 million".
size_t say_prefix_money(Speech& speech, const Match& match) {
  std::string sign(match[2]);
  std::erase(sign, ' ');
  const Currency* currency = find_currency(sign);
  if (currency == nullptr) return Rule::kNotThis;
  const std::string_view minus = match[1].empty() ? match[3] : match[1];
  // "a $5-a-day habit", "the $5-million house".
  const bool hyphen =
      (speech.after(match.end()) == '-' && is_ascii_letter(speech.after(match.end() + 1))) ||
      (match.has(6) && match[0].find(concat({"-", match[6]})) != std::string_view::npos);
  const bool singular = hyphen || is_adjective(speech, match.begin(), match.end());
  speech.say(spoken_money({currency, minus, match[4], match[5], match[6], match[7], singular}));
  return match.end();
}

// "5 €", "2,50 €", "500 USD", "50¢".
size_t say_suffix_money(Speech& speech, const Match& match) {
  std::string amount(match[2]);
  if (match.has(3)) amount.append(".").append(match[3]);  // a decimal comma
  speech.say(spoken_money({find_currency(match[5]), match[1], amount, "", match[4], match[6],
                           is_adjective(speech, match.begin(), match.end())}));
  return match.end();
}

// --- amounts ---

std::string part_of(std::string_view numerator, std::string_view denominator) {
  if (is_one(numerator) && denominator == "2") return "a half";
  if (is_one(numerator) && denominator == "4") return "a quarter";
  return fraction(numerator, denominator);
}

// What kAmount matches.
std::string spoken_amount(std::string_view amount) {
  const size_t slash = amount.find('/');
  if (slash == std::string_view::npos) return decimal(amount);
  const std::string_view denominator = amount.substr(slash + 1);
  const size_t gap = amount.find_first_of(" -");
  if (gap == std::string_view::npos) return fraction(amount.substr(0, slash), denominator);
  return cardinal(amount.substr(0, gap)) + " and " +
         part_of(amount.substr(gap + 1, slash - gap - 1), denominator);
}

bool is_pure_fraction(std::string_view amount) {
  return amount.find('/') != std::string_view::npos &&
         amount.find_first_of(" -") == std::string_view::npos;
}

// "1/2 mi" -> "half a mile", "3/4 oz" -> "three quarters of an ounce".
std::string part_of_unit(std::string_view amount, const Unit& unit) {
  const bool vowel = std::string_view("aeiou").find(unit.singular[0]) != std::string_view::npos ||
                     unit.singular.starts_with("hour");
  const std::string one = concat({vowel ? "an " : "a ", unit.singular});
  return concat({amount == "1/2" ? "half" : spoken_amount(amount) + " of", " ", one});
}

// Lower-case units that are words, or too short, count only where they cannot be anything else.
bool is_doubtful(const Speech& speech, const Match& match, std::string_view sign) {
  const bool attached = match[4].empty();
  if (sign == "in") return !attached && speech.after(match.end()) != '.';
  if (sign == "s" && attached && match[2].size() > 1 && match[2].ends_with('0')) {
    static constexpr std::string_view kDecades = "the his her their my your our mid early late";
    return match[2].size() > 2 || in_list(kDecades, lower_ascii(speech.word_before(match.begin())));
  }
  return (sign == "m" || sign == "s" || sign == "l") && !attached &&
         speech.after(match.end()) == '\'';
}

// A unit's period, "6 ft. tall", belongs to it unless it ends the sentence.
size_t after_period(Speech& speech, size_t end) {
  if (speech.after(end) != '.') return end;
  const char next = speech.after(end + 1);
  const char second = speech.after(end + 2);
  const bool goes_on = next == ',' || next == ';' || next == ')' ||
                       (next == ' ' && !is_ascii_upper(second) && second != '\0');
  return goes_on ? end + 1 : end;
}

// "m²", "m^2" -> "m2", as the table has it.
std::string plain_powers(std::string_view sign) {
  for (const auto& [ending, digit] : {std::pair<std::string_view, std::string_view>{"²", "2"},
                                      {"³", "3"},
                                      {"^2", "2"},
                                      {"^3", "3"}}) {
    if (sign.ends_with(ending)) return concat({sign.substr(0, sign.size() - ending.size()), digit});
  }
  return std::string(sign);
}

size_t say_unit(Speech& speech, const Match& match) {
  const std::string sign = plain_powers(match[5]);
  const Unit* unit = find_unit(sign);
  if (unit == nullptr || is_doubtful(speech, match, sign)) return Rule::kNotThis;
  const bool hyphen = match[4] == "-";
  const std::string words = match[1].empty() ? "" : "minus ";
  const std::string_view amount = match[2];
  const size_t end = after_period(speech, match.end());
  if (is_pure_fraction(amount) && !match.has(3)) {
    speech.say(words + part_of_unit(amount, *unit) + per(match[6]));
    return end;
  }
  const std::string upper = match.has(3) ? concat({" to ", decimal(match[3])}) : "";
  const bool singular = hyphen || (is_one(amount) && upper.empty()) ||
                        is_adjective(speech, match.begin(), match.end());
  speech.say(concat({words, spoken_amount(amount), upper, " ",
                     singular ? unit->singular : unit->plural, per(match[6])}));
  return end;
}

// 5′10″ or 5'10": feet and inches.
size_t say_height(Speech& speech, const Match& match) {
  speech.say(concat({cardinal(match[1]), " foot ", decimal(match[2])}));
  return match.end();
}

// 40°26′46″N.
size_t say_angle(Speech& speech, const Match& match) {
  const auto part = [&](size_t group, std::string_view unit) {
    if (!match.has(group)) return;
    speech.say(concat({decimal(match[group]), " ", unit, is_one(match[group]) ? "" : "s"}));
  };
  part(1, "degree");
  part(2, "minute");
  part(3, "second");
  if (match[4] == "N") speech.say("north");
  if (match[4] == "S") speech.say("south");
  if (match[4] == "E") speech.say("east");
  if (match[4] == "W") speech.say("west");
  return match.end();
}

size_t say_dimensions(Speech& speech, const Match& match) {
  // "3 × 4 = 12" is a product.
  const bool product =
      match[2].find(' ') != std::string_view::npos && match[2].find("×") != std::string_view::npos;
  speech.say(decimal(match[1]));
  speech.say(product ? "times" : "by");
  speech.say(decimal(match[3]));
  if (match.has(4)) {
    speech.say(product ? "times" : "by");
    speech.say(decimal(match[4]));
  }
  return match.end();
}

size_t say_times(Speech& speech, const Match& match) {
  speech.say(decimal(match[1]) + " times");
  return match.end();
}

std::string power(std::string_view exponent) {
  if (exponent == "2") return " squared";
  if (exponent == "3") return " cubed";
  return concat({" to the power of ", decimal(exponent)});
}

// 1.5e-3, 6.02 × 10^23.
size_t say_scientific(Speech& speech, const Match& match) {
  std::string exponent(match[2]);
  if (exponent.starts_with('+')) exponent.erase(0, 1);
  speech.say({decimal(match[1]), "times ten", power(exponent)});
  const Unit* unit = find_unit(match[3]);
  if (unit == nullptr || unit->sign == "in")
    return match.end() - match[3].size() - (match.has(4) ? match[4].size() + 1 : 0);
  speech.say({unit->plural, per(match[4])});
  return match.end();
}

size_t say_power(Speech& speech, const Match& match) {
  if (is_ascii_digit(match[1][0])) {
    speech.say(decimal(match[1]));
  } else {
    speech.say(match[1]);
  }
  const std::string_view exponent = match.has(2) ? match[2] : match[3] == "²" ? "2" : "3";
  speech.say(power(exponent));
  return match.end();
}

size_t say_fraction(Speech& speech, const Match& match) {
  const std::string_view numerator = match[3];
  const std::string_view denominator = match[4];
  const std::string both = concat({numerator, "/", denominator});
  if (!match.has(2) && in_list("24/7 9/11 50/50 20/20 360/360", both)) {
    speech.say(cardinal(numerator) + " " + cardinal(denominator));
    return match.end();
  }
  // Sevenths may be improper; 120/80 and 150/200 are pairs of numbers.
  const bool pair = !match.has(2) && (denominator.size() > 2 || numerator.size() > 2);
  if (pair && denominator != "100" && denominator != "1000") {
    speech.say(cardinal(numerator) + " over " + cardinal(denominator));
    return match.end();
  }
  if (!match[1].empty()) speech.say("minus");
  const size_t begin =
      match.has(2) ? match.end() - match[2].size() - both.size() : match.end() - both.size();
  speech.say(spoken_amount(speech.text().substr(begin, match.end() - begin)));
  return match.end();
}

size_t say_ordinal(Speech& speech, const Match& match) {
  std::string digits(match[1]);
  std::erase(digits, ',');
  speech.say(ordinal(digits));
  return match.end();
}

// "1.5M", "4bn": a scale without a currency. A letter after decimals is none of theirs: "2.4a".
size_t say_scaled(Speech& speech, const Match& match) {
  speech.say({decimal(match[1]), scale_word(match[2])});
  return match.end();
}

// ".38-caliber".
size_t say_caliber(Speech& speech, const Match& match) {
  speech.say(cardinal(match[1]));
  return match.end();
}

size_t say_possessive(Speech& speech, const Match& match) {
  speech.say(decimal(match[1]) + "'s");
  return match.end();
}

// "90s", "747s": plurals.
size_t say_plural(Speech& speech, const Match& match) {
  const std::string_view digits = match[1];
  speech.say(plural_of(digits.size() == 4   ? year(digits)
                       : digits.size() == 3 ? in_pairs(digits)
                                            : cardinal(digits)));
  return match.end();
}

// --- plain numbers ---

// Four digits without a comma are a year, unless things are counted: "1984 people", "2048 bytes",
// but "in 1818 prisoners were ...".
bool counts_something(const Speech& speech, const Match& match) {
  if (in_list("in since until during the", lower_ascii(speech.word_before(match.begin()))))
    return false;
  const std::string_view next = speech.word_after(match.end());
  static constexpr std::string_view kNot =
      "was is has as this its his us thus plus across always perhaps besides series news "
      "elections olympics games sees does says";
  static constexpr std::string_view kCounted = "people men women children percent feet dollars";
  if (next.empty() || !is_ascii_lower(next[0])) return false;
  return in_list(kCounted, next) ||
         (next.size() > 3 && next.ends_with('s') && !next.ends_with("ss") && !in_list(kNot, next));
}

bool is_year(std::string_view digits) {
  return digits.size() == 4 && digits >= "1010" && digits <= "2099" &&
         std::ranges::all_of(digits, is_ascii_digit);
}

size_t say_range(Speech& speech, const Match& match) {
  const std::string_view low = match[1];
  const std::string_view high = match[2];
  const bool years = is_year(low) &&
                     (is_year(high) || (high.size() == 2 && high > low.substr(2))) &&
                     !counts_something(speech, match);
  speech.say(years ? year(low) : decimal(low));
  speech.say("to");
  speech.say(years ? (high.size() == 4 ? year(high) : cardinal(high)) : decimal(high));
  return match.end();
}

// "Room 101", "Flight 370", "Boeing 747".
bool is_name(std::string_view word) {
  return in_list("Room Flight Boeing Airbus Route Highway Interstate Apartment Apt Suite Bus",
                 word);
}

size_t say_number(Speech& speech, const Match& match) {
  const std::string_view minus = match[1];
  const std::string_view number = match[2];
  const bool digits = std::ranges::all_of(number, is_ascii_digit);
  if (minus.empty() && is_year(number) && !counts_something(speech, match)) {
    speech.say(year(number));
  } else if (digits && number.size() == 3 && is_name(speech.word_before(match.begin()))) {
    speech.say(in_pairs(number));
  } else if (number == "911") {
    speech.say("nine one one");
  } else if (digits && number.size() > 12) {
    speech.say(digit_by_digit(number));
  } else {
    speech.say({minus.empty() ? "" : "minus", decimal(number)});
  }
  return match.end();
}

Rule rule(unsigned starts, std::initializer_list<std::string_view> pattern,
          size_t (*say)(Speech&, const Match&)) {
  return {starts, Pattern(concat(pattern)), say};
}

}  // namespace

std::vector<Rule> quantity_rules() {
  constexpr std::string_view kNumber = "(" PARLEY_NUMBER ")";
  constexpr std::string_view kWhole = "(\\d{1,3}(?:,\\d{3}){1,12}(?!\\d)|\\d{1,60}+)";
  std::vector<Rule> rules;
  rules.push_back(
      rule(kSign | kUpper,
           {PARLEY_MINUS "((?:", kSignCurrencies, ")\\s?|(?:", kCodeCurrencies, ") ?)((?:-|−)?)",
            kNumber, "(?:(?:\\s?–\\s?|-)\\$?(" PARLEY_NUMBER "))?", kScale, kPer},
           say_prefix_money));
  rules.push_back(rule(
      kDigit | kSign,
      {PARLEY_MINUS,
       "(\\d{1,3}(?:,\\d{3}){1,12}(?:\\.\\d+)?|\\d{1,12}(?:\\.\\d{1,12})?)(?:,(\\d{2}))?", kScale,
       " ?(", kSignCurrencies, "|¢|", kCodeCurrencies, ")", PARLEY_END "(?! ?\\d)", kPer},
      say_suffix_money));
  rules.push_back(
      rule(kDigit,
           {R"((\d{1,3})°\s?(\d{1,2})(?:'|′)(?:\s?(\d{1,2}(?:\.\d+)?)(?:"|″))?(?:\s?([NSEW])\b)?)"},
           say_angle));
  rules.push_back(
      rule(kDigit, {R"((\d)\s?(?:'|′)\s?(\d{1,2}(?:\.\d)?)\s?(?:"|″|'')(?!\w))"}, say_height));
  rules.push_back(rule(kDigit | kSign,
                       {PARLEY_MINUS, kAmount, kRange, "([ -]?)(", unit_alternatives(),
                        ")(?<=°|%|[A-Za-z]", PARLEY_END, "|[23](?!\\w)|²|³)", kPer},
                       say_unit));
  rules.push_back(rule(kDigit,
                       {kNumber, "(\\s?(?:x|×)\\s?)", kNumber, "(?:\\s?(?:x|×)\\s?", kNumber, ")?",
                        PARLEY_END "(?!\\^)"},
                       say_dimensions));
  rules.push_back(rule(kDigit, {kNumber, "x", PARLEY_END}, say_times));
  rules.push_back(rule(kDigit,
                       {kNumber, "(?:[eE]|\\s?(?:x|×)\\s?10\\^)((?:[+-]|−)?\\d{1,3})", PARLEY_END,
                        "(?: ?(", unit_alternatives(), ")", PARLEY_END, kPer, ")?"},
                       say_scientific));
  rules.push_back(rule(
      kDigit | kLetter,
      {"(", PARLEY_NUMBER, "|[A-Za-z])(?:\\^((?:-|−)?\\d{1,3})|(²|³))", PARLEY_END}, say_power));
  rules.push_back(rule(kDigit | kSign,
                       {PARLEY_MINUS, "(\\d{1,12}[ -])?(\\d{1,4})/(\\d{1,4})(?![\\w/])"},
                       say_fraction));
  rules.push_back(rule(kDigit, {kWhole, "(?:st|nd|rd|th)", PARLEY_END}, say_ordinal));
  rules.push_back(rule(kDigit, {"(\\d{1,4})s", PARLEY_END}, say_plural));
  rules.push_back(rule(kDigit, {kNumber, "'s", PARLEY_END}, say_possessive));
  rules.push_back(rule(kDigit, {kNumber, "(bn|mn|tn)", PARLEY_END}, say_scaled));
  rules.push_back(rule(
      kDigit, {"(\\d{1,60}\\.\\d{1,60}+)(?:([kKmMBT])", PARLEY_END, "|(?=[A-Za-z]))"}, say_scaled));
  rules.push_back(
      rule(kDigit, {kNumber, "(?:\\s?–\\s?|-)", kNumber, "(?![\\w-])(?!\\.\\d)"}, say_range));
  rules.push_back(rule(
      kSign, {"(?<![A-Za-z0-9])\\.(\\d\\d)(?=[- ](?:caliber|rifle|pistol|revolver|gun|Special))"},
      say_caliber));
  rules.push_back(rule(kDigit | kSign, {PARLEY_MINUS, kNumber, PARLEY_END}, say_number));
  return rules;
}

}  // namespace parley::text
