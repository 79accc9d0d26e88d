// Names that special tokens have, whatever they mean: "<|iw|>".
#pragma once

#include <string_view>

namespace parley::text {

inline bool is_special_name(std::string_view name) {
  return name.size() > 4 && name.starts_with("<|") && name.ends_with("|>");
}

}  // namespace parley::text
