#include "parley/text/spoken/ssml_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace parley::text {

namespace {

// A plain decimal number: "1", "0.5", ".5".
std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) && value >= 0 ? std::optional(value) : std::nullopt;
}

template <typename Value>
struct Named {
  std::string_view name;
  Value value;
};

template <typename Value, size_t N>
std::optional<Value> find(const Named<Value> (&table)[N], std::string_view name) {
  const auto* found = std::ranges::find(table, name, &Named<Value>::name);
  return found == std::end(table) ? std::nullopt : std::optional(found->value);
}

}  // namespace

std::optional<int> break_time(std::string_view value) {
  double unit = 1000;
  if (value.ends_with("ms")) {
    unit = 1;
    value.remove_suffix(2);
  } else if (value.ends_with('s')) {
    value.remove_suffix(1);
  } else {
    return std::nullopt;
  }
  const std::optional<double> time = number(value);
  if (!time || *time * unit > 60'000) return std::nullopt;
  return static_cast<int>(std::lround(*time * unit));
}

std::optional<int> break_strength(std::string_view value) {
  static constexpr Named<int> kStrengths[] = {{"none", 0},     {"x-weak", 100}, {"weak", 200},
                                              {"medium", 400}, {"strong", 700}, {"x-strong", 1000}};
  return find(kStrengths, value);
}

std::optional<double> prosody_rate(std::string_view value, double outer) {
  static constexpr Named<double> kRates[] = {{"x-slow", 0.5}, {"slow", 0.75}, {"medium", 1},
                                             {"default", 1},  {"fast", 1.25}, {"x-fast", 1.5}};
  std::optional<double> rate = find(kRates, value);
  if (!rate) {
    const bool change = value.starts_with('+') || value.starts_with('-');
    const double sign = value.starts_with('-') ? -1 : 1;
    if (change) value.remove_prefix(1);
    const bool percent = value.ends_with('%');
    if (percent) value.remove_suffix(1);
    if (change && !percent) return std::nullopt;
    rate = number(value);
    if (!rate) return std::nullopt;
    if (percent) rate = *rate / 100;
    if (change) rate = 1 + sign * *rate;
    rate = *rate * outer;
  }
  return *rate >= 0.25 && *rate <= 4 ? rate : std::nullopt;
}

std::optional<SayAs> say_as(std::string_view value) {
  static constexpr Named<SayAs> kKinds[] = {{"cardinal", SayAs::kCardinal},
                                            {"number", SayAs::kCardinal},
                                            {"ordinal", SayAs::kOrdinal},
                                            {"digits", SayAs::kDigits},
                                            {"characters", SayAs::kCharacters},
                                            {"spell-out", SayAs::kCharacters},
                                            {"verbatim", SayAs::kCharacters},
                                            {"fraction", SayAs::kFraction},
                                            {"unit", SayAs::kUnit},
                                            {"date", SayAs::kDate},
                                            {"time", SayAs::kTime},
                                            {"telephone", SayAs::kTelephone},
                                            {"currency", SayAs::kCurrency},
                                            {"year", SayAs::kYear}};
  return find(kKinds, value);
}

bool is_date_format(std::string_view value) {
  if (value.empty() || value.size() > 3) return false;
  return std::ranges::all_of(value, [&](char c) {
    return std::string_view("dmy").find(c) != std::string_view::npos &&
           std::ranges::count(value, c) == 1;
  });
}

}  // namespace parley::text
