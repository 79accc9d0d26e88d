// Unicode's tables, by ICU: lower case, compatibility forms, categories. All texts are valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace parley::text {

// Lower case in no particular language, as Python's str.lower().
std::string to_lower(std::string_view utf8);

// Normalization forms KC and KD.
std::string nfkc(std::string_view utf8);
std::string nfkd(std::string_view utf8);

// The general category's first letter ('L', 'M', 'N', 'P', 'S', 'Z', 'C').
char category(char32_t code_point);
bool is_nonspacing_mark(char32_t code_point);  // Mn

// Whether a code point is of a script, by its ISO 15924 code: "Latn".
bool is_of_script(char32_t c, const char* script);

// Whether ICU's romanization of a letter can be said and is about right: not of scripts that write
// no vowels (Arabic, Hebrew), nor of those that ICU knows letter by letter only.
bool is_romanizable(char32_t c);

}  // namespace parley::text
