// Character references of HTML: "&amp;", "&#8212;".
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace parley::text {

struct HtmlEntity {
  char32_t value;
  size_t length;  // bytes
};

// The reference that `text` begins with, if it does: by number, or one of the names that are used
// in prose.
std::optional<HtmlEntity> html_entity(std::string_view text);

}  // namespace parley::text
