// UTF-8: code points out of bytes, and invalid bytes replaced by U+FFFD as Python's
// errors="replace" and Rust's from_utf8_lossy do: one U+FFFD for each maximal subpart (Unicode
// Standard §3.9, "U+FFFD Substitution of Maximal Subparts").
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace parley::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

enum class Utf8Status {
  kValid,
  kInvalid,     // these bytes begin no code point
  kIncomplete,  // the bytes end inside what may still become a code point
};

struct CodePoint {
  char32_t value;  // kReplacementCharacter unless valid
  size_t length;   // bytes, at least 1: the code point or the maximal subpart
  Utf8Status status;
};

// The first code point of `bytes`, which must not be empty.
CodePoint first_code_point(std::string_view bytes);

bool is_valid_utf8(std::string_view bytes);

// `bytes` with everything invalid replaced. Valid text comes back as it is.
std::string replace_invalid_utf8(std::string_view bytes);

// Appends a code point, which must be a Unicode scalar value.
void append_utf8(std::string& text, char32_t code_point);

// Turns bytes that arrive in pieces cut anywhere into valid text: push() returns every code point
// that is whole, holds back up to 3 bytes of one that is not, and replaces invalid bytes. The
// pieces together are replace_invalid_utf8() of all bytes, wherever the cuts were.
class Utf8Stream {
 public:
  std::string push(std::string_view bytes);
  // Ends the text: an incomplete code point becomes U+FFFD. The stream starts anew.
  std::string finish();

 private:
  std::string held_;
};

// Without the white space at both ends, as Python's str.strip().
std::string_view strip(std::string_view text);

}  // namespace parley::text
