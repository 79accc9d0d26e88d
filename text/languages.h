// The languages of Whisper: codes and English names (openai/whisper tokenizer.py).
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace parley::text {

struct Language {
  std::string_view code;  // as in the token <|en|>: ISO 639-1 mostly, and "jw", "haw", "yue"
  std::string_view name;  // English, lower case
};

// All 100, in the order of their token ids. Checkpoints before large-v3 have the first 99.
std::span<const Language> languages();

// The code for a code, a name or a published alias ("Flemish" -> "nl"), upper or lower case;
// nothing for what is none of these.
std::optional<std::string_view> language_code(std::string_view code_or_name);

// The English name of a code, or nothing.
std::optional<std::string_view> language_name(std::string_view code);

}  // namespace parley::text
