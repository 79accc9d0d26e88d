#include "parley/text/utf8.h"

#include <algorithm>
#include <cassert>
#include <cstdint>

namespace parley::text {

namespace {

// Python's str.isspace: Unicode White_Space and the four information separators.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

// What may follow a lead byte (Unicode Standard, table 3-7).
struct Sequence {
  size_t length;  // 0: not a lead byte
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

Sequence sequence_of(uint8_t lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};  // no surrogates
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};  // nothing above U+10FFFF
  return {0};
}

// Appends the whole code points of `bytes` and returns how many bytes they took; what remains is
// incomplete.
size_t append_whole(std::string& out, std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    const CodePoint point = first_code_point(bytes.substr(at));
    if (point.status == Utf8Status::kIncomplete) break;
    out += point.status == Utf8Status::kValid ? bytes.substr(at, point.length) : kReplacementUtf8;
    at += point.length;
  }
  return at;
}

}  // namespace

CodePoint first_code_point(std::string_view bytes) {
  assert(!bytes.empty());
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const Sequence sequence = sequence_of(byte(0));
  if (sequence.length == 1) return {byte(0), 1, Utf8Status::kValid};
  if (sequence.length == 0) return {kReplacementCharacter, 1, Utf8Status::kInvalid};
  char32_t value = byte(0) & (0x7F >> sequence.length);
  for (size_t i = 1; i < sequence.length; ++i) {
    if (i == bytes.size()) return {kReplacementCharacter, i, Utf8Status::kIncomplete};
    const uint8_t min = i == 1 ? sequence.second_min : 0x80;
    const uint8_t max = i == 1 ? sequence.second_max : 0xBF;
    if (byte(i) < min || byte(i) > max) return {kReplacementCharacter, i, Utf8Status::kInvalid};
    value = (value << 6) | (byte(i) & 0x3F);
  }
  return {value, sequence.length, Utf8Status::kValid};
}

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const CodePoint point = first_code_point(bytes);
    if (point.status != Utf8Status::kValid) return false;
    bytes.remove_prefix(point.length);
  }
  return true;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  if (append_whole(text, bytes) < bytes.size()) text += kReplacementUtf8;
  return text;
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += {static_cast<char>(0xC0 | (code_point >> 6)), tail(0)};
  } else if (code_point < 0x10000) {
    text += {static_cast<char>(0xE0 | (code_point >> 12)), tail(6), tail(0)};
  } else {
    text += {static_cast<char>(0xF0 | (code_point >> 18)), tail(12), tail(6), tail(0)};
  }
}

std::string Utf8Stream::push(std::string_view bytes) {
  held_ += bytes;
  std::string text;
  held_.erase(0, append_whole(text, held_));
  return text;
}

std::string Utf8Stream::finish() {
  std::string text = replace_invalid_utf8(held_);
  held_.clear();
  return text;
}

std::string_view strip(std::string_view text) {
  size_t begin = text.size();
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = first_code_point(text.substr(at));
    if (!is_space(point.value)) {
      begin = std::min(begin, at);
      end = at + point.length;
    }
    at += point.length;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

}  // namespace parley::text
