// Strings joined end to end.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace parley::text {

inline std::string concat(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

}  // namespace parley::text
