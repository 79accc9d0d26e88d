// Numbers as users and servers write them.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace parley {

// The whole text as a number, or nothing.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace parley
