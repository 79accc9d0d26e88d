#include "parley/text/scoring/spelled_numbers.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "parley/text/concat.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/scoring/spelled_numbers_words.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

// --- decimal digits of any length ---

std::string add(const std::string& a, const std::string& b) {
  std::string sum;
  int carry = 0;
  for (size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; ++i) {
    const auto digit = [&](const std::string& s) {
      return i < s.size() ? s[s.size() - 1 - i] - '0' : 0;
    };
    carry += digit(a) + digit(b);
    sum += static_cast<char>('0' + carry % 10);
    carry /= 10;
  }
  std::ranges::reverse(sum);
  return std::string(without_leading_zeros(sum));
}

// What Python's int and Fraction read: digits of any script.
struct Decimal {
  std::string whole, fraction;  // ASCII digits

  // Times a power of ten, if that is whole.
  std::optional<std::string> times(int power) const {
    std::string digits = whole + fraction;
    std::string_view rest = std::string_view(fraction);
    while (!rest.empty() && rest.back() == '0') rest.remove_suffix(1);
    if (rest.size() > static_cast<size_t>(power)) return std::nullopt;
    digits.resize(whole.size() + std::min(fraction.size(), static_cast<size_t>(power)));
    digits.append(
        static_cast<size_t>(power) - std::min(fraction.size(), static_cast<size_t>(power)), '0');
    return std::string(without_leading_zeros(digits.empty() ? "0" : digits));
  }
};

// "12", "1.5"; with `open` also "1." and ".5".
std::optional<Decimal> read_decimal(std::string_view text, bool open) {
  Decimal decimal;
  bool point = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint code_point = first_code_point(text.substr(at));
    at += code_point.length;
    const auto c = static_cast<UChar32>(code_point.value);
    if (code_point.value == '.' && !point) {
      point = true;
    } else if (u_charType(c) == U_DECIMAL_DIGIT_NUMBER) {
      (point ? decimal.fraction : decimal.whole) += static_cast<char>('0' + u_charDigitValue(c));
    } else {
      return std::nullopt;
    }
  }
  const bool complete = !decimal.whole.empty() && (!point || !decimal.fraction.empty());
  const bool readable = !decimal.whole.empty() || !decimal.fraction.empty();
  return (open ? readable : complete) ? std::optional(decimal) : std::nullopt;
}

bool is_numeric(std::string_view word) { return read_decimal(word, false).has_value(); }

// --- the words of a text ---

// The number read so far: nothing, a whole number, or digits that are only strung together
// ("007", "1.5").
struct Value {
  enum Kind { kNone, kWhole, kString } kind = kNone;
  std::string digits;

  bool ends_in_zeros(size_t count) const {  // for kWhole
    const size_t zeros = digits.size() - (digits.find_last_not_of('0') + 1);
    return digits == "0" || zeros >= count;
  }
  // Python's `str(value or "")`.
  std::string or_empty() const { return kind == kWhole && digits == "0" ? "" : digits; }
};

// EnglishNumberNormalizer.process_words.
class NumberReader {
 public:
  explicit NumberReader(const std::vector<std::string>& words) : words_(words) {}

  std::string read() {
    for (at_ = 0; at_ < words_.size(); ++at_) {
      current_ = words_[at_];
      previous_ = at_ == 0 ? std::string_view() : words_[at_ - 1];
      next_ = at_ + 1 < words_.size() ? std::string_view(words_[at_ + 1]) : std::string_view();
      read_word();
    }
    flush();
    return std::move(result_);
  }

 private:
  void read_word() {
    const size_t sign = sign_size(current_);
    const std::string_view unsigned_word = current_.substr(sign);
    if (is_numeric(unsigned_word)) return read_digits(sign, unsigned_word);
    if (!is_number_word(current_)) {
      flush();
      return output(current_);
    }
    if (is_zero_word(current_)) return set(Value::kString, value_.or_empty() + "0");
    if (const auto one = one_word(current_)) return read_one(*one);
    if (const auto one = suffixed_one_word(current_))
      return output_suffixed(joined_one(one->value), one->suffix);
    if (const auto ten = ten_word(current_)) return set_value(joined_ten(*ten));
    if (const auto ten = suffixed_ten_word(current_))
      return output_suffixed(joined_ten(ten->value), ten->suffix);
    if (const auto power = multiplier_word(current_)) return multiply(*power);
    if (const auto power = suffixed_multiplier_word(current_))
      return multiply_suffixed(power->value, power->suffix);
    if (!preceding_sign(current_).empty()) return read_preceding_sign();
    if (!following_sign(current_).empty()) return read_following_sign();
    if (current_ == "per" || current_ == "percent") return read_percent();
    read_special();
  }

  static size_t sign_size(std::string_view word) {
    for (const std::string_view sign : {"-", "+", "£", "€", "$", "¢"}) {
      if (word.starts_with(sign)) return sign.size();
    }
    return 0;
  }

  void output(std::string_view text) {
    if (!result_.empty()) result_ += ' ';
    result_.append(prefix_).append(text);
    value_ = {};
    prefix_.clear();
  }
  void flush() {
    if (value_.kind != Value::kNone) output(std::string(value_.digits));
  }
  void set(Value::Kind kind, std::string digits) { value_ = {kind, std::move(digits)}; }
  void set_value(Value value) { value_ = std::move(value); }
  bool next_is_number() const { return is_number_word(next_) || is_numeric(next_); }

  void read_digits(size_t sign, std::string_view unsigned_word) {
    if (value_.kind == Value::kString && value_.digits.ends_with('.')) {
      value_.digits += current_;  // decimals, or the parts of an address
      return;
    }
    flush();
    if (sign > 0) prefix_ = current_.substr(0, sign);
    const std::optional<std::string> whole = read_decimal(unsigned_word, false)->times(0);
    if (whole) return set(Value::kWhole, *whole);
    set(Value::kString, std::string(unsigned_word));
  }

  void read_one(int one) { set_value(joined_one(one)); }

  // What "one" to "nineteen" make of the value.
  Value joined_one(int one) const {
    const std::string digits = std::to_string(one);
    const bool digit = one < 10;
    if (value_.kind == Value::kNone) return {Value::kWhole, digits};
    if (value_.kind == Value::kString || one_word(previous_)) {
      std::string joined = value_.digits;
      if (ten_word(previous_) && digit) joined.pop_back();  // the zero of "twenty"
      return {Value::kString, joined + digits};
    }
    if (value_.ends_in_zeros(digit ? 1 : 2)) return {Value::kWhole, add(value_.digits, digits)};
    return {Value::kString, value_.digits + digits};
  }

  // What "twenty" to "ninety" make of it.
  Value joined_ten(int ten) const {
    const std::string digits = std::to_string(ten);
    if (value_.kind == Value::kNone) return {Value::kWhole, digits};
    if (value_.kind == Value::kWhole && value_.ends_in_zeros(2))
      return {Value::kWhole, add(value_.digits, digits)};
    return {Value::kString, value_.digits + digits};
  }

  void output_suffixed(const Value& value, std::string_view suffix) {
    output(concat({value.digits, suffix}));
  }

  // A whole value, whose last three digits are multiplied.
  std::string multiplied(int power) const {
    const std::string& digits = value_.digits;
    const size_t split = digits.size() - std::min<size_t>(digits.size(), 3);
    const std::string before = concat({digits.substr(0, split), "000"});
    const std::string residual =
        digits.substr(split) + std::string(static_cast<size_t>(power), '0');
    return split == 0 ? std::string(without_leading_zeros(residual)) : add(before, residual);
  }

  std::optional<std::string> product(int power) const {
    const std::optional<Decimal> decimal = read_decimal(value_.digits, true);
    return decimal ? decimal->times(power) : std::nullopt;
  }

  void multiply(int power) {
    const std::string multiplier = concat({"1", std::string(static_cast<size_t>(power), '0')});
    if (value_.kind == Value::kNone) return set(Value::kWhole, multiplier);
    if (value_.kind == Value::kWhole && value_.digits != "0")
      return set(Value::kWhole, multiplied(power));
    if (const auto whole = product(power)) return set(Value::kWhole, *whole);
    flush();
    set(Value::kWhole, multiplier);
  }

  void multiply_suffixed(int power, std::string_view suffix) {
    const std::string multiplier = concat({"1", std::string(static_cast<size_t>(power), '0')});
    if (value_.kind == Value::kNone) return output(concat({multiplier, suffix}));
    if (value_.kind == Value::kWhole) return output(concat({multiplied(power), suffix}));
    if (const auto whole = product(power)) return output(concat({*whole, suffix}));
    flush();
    output(concat({multiplier, suffix}));
  }

  void read_preceding_sign() {
    flush();
    if (!next_is_number()) return output(current_);
    prefix_ = preceding_sign(current_);
  }

  void read_following_sign() {
    if (value_.kind == Value::kNone) return output(current_);
    prefix_ = following_sign(current_);
    flush();
  }

  void read_percent() {
    if (value_.kind == Value::kNone) return output(current_);
    if (current_ == "percent") return output(value_.digits + "%");
    if (next_ == "cent") {
      output(value_.digits + "%");
      ++at_;
      return;
    }
    flush();
    output(current_);
  }

  void read_special() {
    if (!next_is_number()) {
      flush();
      return output(current_);
    }
    if (current_ == "and") {
      // Silent after hundreds, thousands, ...
      if (multiplier_word(previous_)) return;
      flush();
      return output(current_);
    }
    if (current_ == "point") {
      if (is_decimal_word(next_) || is_numeric(next_)) set(Value::kString, value_.or_empty() + ".");
      return;
    }
    // "double", "triple"
    const std::optional<int> one = one_word(next_);
    if (!one && !is_zero_word(next_)) {
      flush();
      return output(current_);
    }
    std::string digits = value_.or_empty();
    for (int i = 0; i < (current_ == "double" ? 2 : 3); ++i)
      digits += std::to_string(one.value_or(0));
    set(Value::kString, digits);
    ++at_;
  }

  const std::vector<std::string>& words_;
  size_t at_ = 0;
  std::string_view previous_, current_, next_;
  std::string prefix_;
  Value value_;
  std::string result_;
};

}  // namespace

SpelledNumbers::SpelledNumbers()
    : and_a_half_("\\band[" PARLEY_PYTHON_SPACE "]+a[" PARLEY_PYTHON_SPACE "]+half\\b",
                  Pattern::Unit::kCodePoint),
      letter_digit_("([a-z])([0-9])", Pattern::Unit::kCodePoint),
      digit_letter_("([0-9])([a-z])", Pattern::Unit::kCodePoint),
      suffix_("([0-9])[" PARLEY_PYTHON_SPACE "]+(st|nd|rd|th|s)\\b", Pattern::Unit::kCodePoint),
      dollars_cents_(R"(([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})\b)", Pattern::Unit::kCodePoint),
      cents_(R"([€£$]0.([0-9]{1,2})\b)", Pattern::Unit::kCodePoint),
      one_(R"(\b1(s?)\b)", Pattern::Unit::kCodePoint) {}

std::string SpelledNumbers::operator()(std::string_view text) const {
  return postprocess(NumberReader(split_words(preprocess(text))).read());
}

std::string SpelledNumbers::preprocess(std::string_view text) const {
  // "three and a half" -> "three point five".
  std::vector<std::string> parts;
  const auto add_segment = [&](std::string_view segment, bool half) {
    const std::vector<std::string> words = split_words(segment);
    if (words.empty()) return;
    parts.emplace_back(segment);
    if (!half) return;
    const bool number = is_decimal_word(words.back()) || multiplier_word(words.back());
    parts.emplace_back(number ? "point five" : "and a half");
  };
  size_t at = 0;
  while (const auto match = and_a_half_.search(text, at)) {
    add_segment(text.substr(at, match->begin() - at), true);
    at = match->end();
  }
  add_segment(text.substr(at), false);
  std::string s;
  for (const std::string& part : parts) s.append(s.empty() ? "" : " ").append(part);

  const auto spaced = [](const Match& m) { return concat({m[1], " ", m[2]}); };
  s = digit_letter_.replace(letter_digit_.replace(s, spaced), spaced);
  return suffix_.replace(s, [](const Match& m) { return concat({m[1], m[2]}); });
}

std::string SpelledNumbers::postprocess(const std::string& text) const {
  // "$2 and ¢7" -> "$2.07", "$0.07" -> "¢7".
  std::string s = dollars_cents_.replace(text, [](const Match& m) {
    return concat({m[1], m[2], ".", m[3].size() == 1 ? "0" : "", m[3]});
  });
  s = cents_.replace(s, [](const Match& m) { return concat({"¢", without_leading_zeros(m[1])}); });
  return one_.replace(s, [](const Match& m) { return concat({"one", m[1]}); });
}

}  // namespace parley::text
