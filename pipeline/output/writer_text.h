// Text as formats of lines need it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace parley::pipeline {

// Valid UTF-8 without anything that would end a line somewhere or cannot be seen: such characters
// are spaces.
std::string printable(std::string_view text);
// The same, trimmed.
std::string one_line(std::string_view text);

void replace_all(std::string& text, std::string_view from, std::string_view to);

}  // namespace parley::pipeline
