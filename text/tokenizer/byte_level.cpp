#include "parley/text/tokenizer/byte_level.h"

#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr char32_t kFirstSubstitute = 0x100;

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

struct Alphabet {
  std::array<uint8_t, 256> order{};
  std::array<char32_t, 256> code_point{};  // by byte
  int substituted = 0;
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  size_t next = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (!stands_for_itself(byte)) continue;
    alphabet.code_point[byte] = static_cast<char32_t>(byte);
    alphabet.order[next++] = static_cast<uint8_t>(byte);
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) continue;
    alphabet.code_point[byte] = kFirstSubstitute + alphabet.substituted++;
    alphabet.order[next++] = static_cast<uint8_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();
constexpr size_t kFirstSubstituted = 256 - kAlphabet.substituted;

}  // namespace

std::array<uint8_t, 256> byte_level_order() { return kAlphabet.order; }

std::string to_byte_level(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (const char byte : bytes) append_utf8(text, kAlphabet.code_point[static_cast<uint8_t>(byte)]);
  return text;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.status != Utf8Status::kValid) return std::nullopt;
    if (point.value < kFirstSubstitute) {
      if (!stands_for_itself(static_cast<int>(point.value))) return std::nullopt;
      bytes += static_cast<char>(point.value);
    } else {
      const size_t index = point.value - kFirstSubstitute;
      if (index >= static_cast<size_t>(kAlphabet.substituted)) return std::nullopt;
      bytes += static_cast<char>(kAlphabet.order[kFirstSubstituted + index]);
    }
    text.remove_prefix(point.length);
  }
  return bytes;
}

}  // namespace parley::text
