// GPT-2's printable alphabet for bytes (openai/gpt-2 src/encoder.py, bytes_to_unicode): every byte
// is written as one code point that is neither space nor control, so that a vocabulary of byte
// strings can be kept in JSON. Printable Latin-1 bytes stand for themselves; the other 68 become
// U+0100, U+0101, ...
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace parley::text {

// The bytes in the order of that alphabet's code points, which is also the order of their ids in
// the vocabularies of GPT-2 and Whisper: '!', '"', ..., 0xFF, then 0x00, 0x01, ...
std::array<uint8_t, 256> byte_level_order();

std::string to_byte_level(std::string_view bytes);

// The bytes back, or nothing when `text` holds anything outside the alphabet.
std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace parley::text
