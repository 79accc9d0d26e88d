// Dates, years, decades and times of day.
#include <array>
#include <charconv>
#include <optional>

#include "parley/text/concat.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

int number(std::string_view digits) {
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::string_view month_name(std::string_view written) {
  for (const std::string_view month : kMonths) {
    if (month.starts_with(written.substr(0, 3))) return month;
  }
  return written;
}

bool is_day(std::string_view digits) { return number(digits) >= 1 && number(digits) <= 31; }
bool is_month(std::string_view digits) { return number(digits) >= 1 && number(digits) <= 12; }

std::string month_day_year(std::string_view month, std::string_view day,
                           std::string_view year_digits) {
  return std::string(kMonths[static_cast<size_t>(number(month) - 1)]) + " " + ordinal(day) + ", " +
         year(year_digits);
}

// Two digits of a year are said as they are: "3/4/98" -> "March fourth, ninety-eight".
std::string short_year(std::string_view digits) {
  if (digits.size() == 2 && digits[0] == '0') return concat({"oh ", cardinal(digits.substr(1))});
  return year(digits);
}

void say_date(Speech& speech, std::string_view month, std::string_view day,
              std::string_view year_digits) {
  speech.say(std::string(kMonths[static_cast<size_t>(number(month) - 1)]) + " " + ordinal(day));
  speech.mark(",");
  speech.say(short_year(year_digits));
}

// 2024-03-05, also with a time after a T.
size_t say_iso_date(Speech& speech, const Match& match) {
  if (!is_month(match[2]) || !is_day(match[3])) return Rule::kNotThis;
  say_date(speech, match[2], match[3], match[1]);
  return match.end();
}

// 3/5/2024; the day first where it cannot be the month.
size_t say_slash_date(Speech& speech, const Match& match) {
  const std::string_view first = match[1], second = match[3];
  if (is_month(first) && is_day(second)) {
    say_date(speech, first, second, match[4]);
  } else if (is_month(second) && is_day(first)) {
    say_date(speech, second, first, match[4]);
  } else {
    return Rule::kNotThis;
  }
  return match.end();
}

// 5.3.2024 is written where the day comes first.
size_t say_dotted_date(Speech& speech, const Match& match) {
  if (!is_day(match[1]) || !is_month(match[2])) return Rule::kNotThis;
  say_date(speech, match[2], match[1], match[3]);
  return match.end();
}

// "March 5", "Mar. 5-7, 2024".
size_t say_month_day(Speech& speech, const Match& match) {
  if (!is_day(match[2]) || (match.has(3) && !is_day(match[3]))) return Rule::kNotThis;
  speech.say(month_name(match[1]));
  speech.say(ordinal(match[2]));
  if (match.has(3)) speech.say({"to", ordinal(match[3])});
  if (match.has(4)) {
    speech.mark(",");
    speech.say(year(match[4]));
  }
  return match.end();
}

// "5 March 2024" -> "the fifth of March, twenty twenty-four".
size_t say_day_month(Speech& speech, const Match& match) {
  if (!is_day(match[1])) return Rule::kNotThis;
  const std::string before = lower_ascii(speech.word_before(match.begin()));
  if (before != "the") speech.say("the");
  speech.say(ordinal(match[1]) + " of");
  speech.say(month_name(match[2]));
  if (match.has(3)) {
    speech.mark(",");
    speech.say(year(match[3]));
  }
  return match.end();
}

size_t say_month_year(Speech& speech, const Match& match) {
  speech.say(month_name(match[1]));
  speech.say(year(match[2]));
  return match.end();
}

// "Jan." alone.
size_t say_month(Speech& speech, const Match& match) {
  // Jan is a name too.
  const bool last = speech.text().find_first_not_of(" \"')", match.end()) == std::string_view::npos;
  static constexpr std::string_view kBefore =
      "in of last next since until by early late mid this to from and";
  if (last && !in_list(kBefore, lower_ascii(speech.word_before(match.begin()))))
    return Rule::kNotThis;
  speech.say(month_name(match[1]));
  speech.mark_if_last(match.end());
  return match.end();
}

std::string_view weekday(std::string_view written) {
  static constexpr std::array<std::string_view, 7> kDays = {
      "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
  for (const std::string_view day : kDays) {
    if (day.starts_with(written.substr(0, 3))) return day;
  }
  return written;
}

size_t say_weekday(Speech& speech, const Match& match) {
  speech.say(weekday(match[1]));
  return match.end();
}

size_t say_weekday_period(Speech& speech, const Match& match) {
  speech.say(weekday(match[1]));
  speech.mark_if_last(match.end());
  return match.end();
}

size_t say_weekdays(Speech& speech, const Match& match) {
  speech.say({weekday(match[1]), "to", weekday(match[2])});
  return match.end();
}

// "the 1990s", "'90s", "mid-80s".
size_t say_decade(Speech& speech, const Match& match) {
  const std::string_view digits = match[1];
  if (digits == "00") return Rule::kNotThis;
  speech.say(plural_of(digits.size() == 4 ? year(digits) : cardinal(digits)));
  return match.end();
}

// "the class of '09".
size_t say_class_year(Speech& speech, const Match& match) {
  if (is_ascii_digit(speech.before(match.begin()))) return Rule::kNotThis;
  speech.say(short_year(match[1]));
  return match.end();
}

std::string letters(std::string_view abbreviation) {
  std::string words;
  for (const char c : abbreviation) {
    if (!is_ascii_letter(c)) continue;
    if (!words.empty()) words += ' ';
    words += static_cast<char>(c & ~0x20);
  }
  return words;
}

// "44 BC", "800-500 B.C.E.".
size_t say_year_era(Speech& speech, const Match& match) {
  speech.say(year(match[1]));
  if (match.has(2)) speech.say({"to", year(match[2])});
  speech.say(letters(match[3]));
  if (match[3].ends_with('.')) speech.mark_if_last(match.end());
  return match.end();
}

size_t say_era_year(Speech& speech, const Match& match) {
  speech.say(letters(match[1]));
  speech.say(year(match[2]));
  return match.end();
}

// --- times ---

std::string minutes(std::string_view digits) {
  return concat({digits[0] == '0' ? "oh " : "", cardinal(digits)});
}

std::string with_plural(std::string_view digits, std::string_view unit) {
  const bool one = without_leading_zeros(digits) == "1";
  return concat({cardinal(digits), " ", unit, one ? "" : "s"});
}

std::string clock(std::string_view hour, std::string_view minute, bool half_day) {
  const int h = number(hour);
  if (minute != "00") return cardinal(hour) + " " + minutes(minute);
  if (half_day) return cardinal(hour);
  if (h == 0) return "midnight";
  return cardinal(hour) + (h <= 12 ? " o'clock" : " hundred hours");
}

size_t say_time(Speech& speech, const Match& match) {
  const std::string_view hour = match[1], minute = match[2], second = match[3], half = match[4];
  if (number(hour) > 24 || minute > "59" || second > "59") return Rule::kNotThis;
  if (match.has(3) && !match.has(4)) {
    // A duration or an exact time.
    speech.say(with_plural(hour, "hour") + " " + with_plural(minute, "minute") + " and " +
               with_plural(second, "second"));
    return match.end();
  }
  speech.say(clock(hour, minute, match.has(4)));
  if (match.has(3)) speech.say({"and", with_plural(second, "second")});
  if (match.has(4)) {
    speech.say(letters(half));
    if (half.ends_with('.')) speech.mark_if_last(match.end());
  }
  return match.end();
}

// "5pm", "5 p.m.", "9-11 am".
size_t say_hour(Speech& speech, const Match& match) {
  if (number(match[1]) > 12 || number(match[2]) > 12) return Rule::kNotThis;
  speech.say(cardinal(match[1]));
  if (match.has(2)) speech.say({"to", cardinal(match[2])});
  speech.say(letters(match[3]));
  if (match[3].ends_with('.')) speech.mark_if_last(match.end());
  return match.end();
}

// "3:1", "16:9": odds and ratios. "1:23.45": minutes and seconds.
size_t say_ratio(Speech& speech, const Match& match) {
  speech.say(decimal(match[1]) + " to " + decimal(match[2]));
  return match.end();
}

size_t say_minutes_seconds(Speech& speech, const Match& match) {
  speech.say(with_plural(match[1], "minute") + " " + decimal(match[2]) + " seconds");
  return match.end();
}

#define WEEKDAY "(Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)"
#define DAY "(\\d{1,2})(?:st|nd|rd|th)?"

}  // namespace

std::vector<Rule> calendar_rules() {
  constexpr std::string_view kHalfDay = "([AaPp]\\.[Mm]\\.|[AaPp]\\.?[Mm](?![A-Za-z0-9]))";
  const std::string half_day(kHalfDay);
  std::vector<Rule> rules;
  const auto add = [&](unsigned starts, const std::string& pattern,
                       size_t (*say)(Speech&, const Match&)) {
    rules.push_back({starts, Pattern(pattern), say});
  };
  add(kDigit, R"((\d{4})-(\d{2})-(\d{2})(?![\d-])T?)", say_iso_date);
  add(kDigit, R"((\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(?![\w/-]))", say_slash_date);
  add(kDigit, R"((\d{1,2})\.(\d{1,2})\.(\d{4})(?![\w.]*\d))", say_dotted_date);
  add(kUpper,
      PARLEY_MONTH " " DAY "(?:\\s?(?:-|–)\\s?" DAY
                   ")?(?:,? (\\d{4})(?!\\d))?(?![\\d:/%-]|[.,]\\d)" PARLEY_END,
      say_month_day);
  add(kDigit, DAY " (?:of )?" PARLEY_MONTH "(?:,? (\\d{4}))?" PARLEY_END, say_day_month);
  add(kUpper, PARLEY_MONTH ",? (\\d{4})" PARLEY_END, say_month_year);
  add(kUpper, "(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\\.", say_month);
  add(kUpper,
      WEEKDAY "(?:\\.(?=,| \\d| at |-| (?:morn|after|even|night)| " PARLEY_MONTH
              ")|(?=,? " PARLEY_MONTH " \\d)|(?=,? \\d{1,2}(?::\\d\\d| ?[ap]\\.?m)))",
      say_weekday);
  add(kUpper, "(Tues?|Thu(?:rs?)?)\\.", say_weekday_period);
  add(kUpper, "(?<=On |By |on |ext |ast |his |til |rom | by | to |and )(Mon|Wed|Fri|Sat|Sun)\\.",
      say_weekday_period);
  add(kUpper, WEEKDAY "\\.?(?:-|–)" WEEKDAY "\\.?" PARLEY_END, say_weekdays);
  add(kDigit,
      "(\\d{1,4})(?:\\s?(?:-|–)\\s?(\\d{1,4}))? "
      "?(B\\.C\\.E\\.|B\\.C\\.|A\\.D\\.|C\\.E\\.|(?:BCE|BC|AD|CE)(?![A-Za-z0-9]))",
      say_year_era);
  add(kUpper, "(AD|A\\.D\\.) ?(\\d{1,4})" PARLEY_END, say_era_year);
  add(kSign, "'(\\d0)s" PARLEY_END, say_decade);
  add(kSign, "'(\\d\\d)" PARLEY_END, say_class_year);
  add(kDigit, "(\\d{3}0)'?s" PARLEY_END, say_decade);
  add(kDigit, "(\\d{1,2}):([0-5]\\d)(?::([0-5]\\d))?(?: ?" + half_day + ")?(?![\\d:]|\\.\\d)",
      say_time);
  add(kDigit, "(\\d{1,2})(?:\\s?(?:-|–)\\s?(\\d{1,2}))? ?" + half_day, say_hour);
  add(kDigit, "(\\d{1,2}):(\\d{2}\\.\\d{1,3})(?![\\d:])", say_minutes_seconds);
  add(kDigit, "(\\d{1,4}(?:\\.\\d{1,4})?):(\\d{1,4}(?:\\.\\d{1,4})?)(?![\\w:])", say_ratio);
  return rules;
}

std::optional<std::string> date_in_order(std::string_view written, std::string_view format) {
  static const Pattern kNumbers("\\D*(\\d{1,4})(?:\\D+(\\d{1,4}))?(?:\\D+(\\d{1,4}))?\\D*$");
  const std::optional<Match> match = kNumbers.match_at(written, 0);
  if (!match) return std::nullopt;
  std::string_view day, month, year_digits;
  for (size_t i = 0; i < format.size(); ++i) {
    if (!match->has(i + 1)) return std::nullopt;
    (format[i] == 'd' ? day : format[i] == 'm' ? month : year_digits) = (*match)[i + 1];
  }
  if (match->has(format.size() + 1)) return std::nullopt;
  if (!month.empty() && !is_month(month)) return std::nullopt;
  if (!day.empty() && !is_day(day)) return std::nullopt;
  if (!month.empty() && !day.empty() && !year_digits.empty())
    return month_day_year(month, day, year_digits);
  std::string words(month.empty() ? "" : kMonths[static_cast<size_t>(number(month) - 1)]);
  if (!day.empty()) words.append(words.empty() ? "" : " ").append(ordinal(day));
  if (!year_digits.empty()) words.append(words.empty() ? "" : " ").append(year(year_digits));
  return words;
}

}  // namespace parley::text
