#include "parley/decoder/hotwords.h"

#include <algorithm>

#include "parley/core/base/error.h"
#include "parley/text/utf8.h"

namespace parley::decoder {

namespace {

// Scripts whose words have no spaces between them.
bool writes_no_spaces(char32_t c) {
  return (c >= 0x0E00 && c < 0x1000) ||  // Thai, Lao, Tibetan
         (c >= 0x1000 && c < 0x10A0) ||  // Burmese
         (c >= 0x1780 && c < 0x1800) ||  // Khmer
         (c >= 0x3040 && c < 0x3100) ||  // Japanese syllables
         (c >= 0x3400 && c < 0xA000) ||  // Chinese characters
         (c >= 0xF900 && c < 0xFB00) || (c >= 0x20000 && c < 0x40000);
}

// Is it of a letter or a digit, as far as its first character says?
bool goes_on(std::string_view token) {
  if (token.empty()) return false;
  const char32_t c = text::first_code_point(token).value;
  if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
  const bool mark = c < 0xC0 || (c >= 0x2000 && c < 0x2070) || (c >= 0x3000 && c < 0x3040);
  return !mark;  // parts of code points do go on
}

std::string capitalized(std::string word) {
  if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
  return word;
}

}  // namespace

Hotwords::Hotwords(const text::Tokenizer& tokenizer, std::span<const std::string> phrases,
                   float boost)
    : boost_(boost), nodes_(1) {
  if (phrases.size() > kMaxPhrases) {
    throw Error("hotwords", std::to_string(phrases.size()) + " are too many",
                "give at most " + std::to_string(kMaxPhrases));
  }
  for (const std::string& phrase : phrases) {
    const std::string bare(text::strip(phrase));
    if (bare.empty()) continue;
    if (bare.size() > kMaxBytes)
      throw Error("hotwords", "one is longer than " + std::to_string(kMaxBytes) + " bytes");
    const bool spaced = !writes_no_spaces(text::first_code_point(bare).value);
    for (const std::string& form : {bare, capitalized(bare)})
      add(tokenizer.encode(" " + form), spaced);
    if (!spaced) add(tokenizer.encode(bare), spaced);
  }
  for (int32_t token = 0; !empty() && token < tokenizer.size(); ++token)
    within_word_.push_back(goes_on(tokenizer.bytes(token)));
}

void Hotwords::add(std::span<const int32_t> tokens, bool spaced) {
  int node = kRoot;
  for (const int32_t token : tokens) {
    const auto [found, added] = nodes_[static_cast<size_t>(node)].children.try_emplace(
        token, static_cast<int>(nodes_.size()));
    node = found->second;  // nodes_ may move below
    if (added) nodes_.emplace_back();
  }
  nodes_[static_cast<size_t>(node)].complete = true;
  nodes_[static_cast<size_t>(node)].spaced = spaced;
}

bool Hotwords::ends_before(int node, int32_t token) const {
  const bool within =
      static_cast<size_t>(token) < within_word_.size() && within_word_[static_cast<size_t>(token)];
  return at(node).complete && !(at(node).spaced && within);
}

size_t without_loop(std::span<const int32_t> tokens, int32_t timestamp_begin) {
  constexpr size_t kCopies = 4;
  constexpr size_t kTokens = 40;
  std::vector<int32_t> text;
  std::vector<size_t> places;  // of the text's tokens
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= timestamp_begin) continue;
    text.push_back(tokens[i]);
    places.push_back(i);
  }
  for (size_t period = 1; period * kCopies <= text.size(); ++period) {
    // All but the first copy equal the token one period before.
    const size_t copies = std::max(kCopies, (kTokens + period - 1) / period);
    const size_t repeated = (copies - 1) * period;
    if (repeated + period > text.size()) continue;
    const auto tail = text.end() - static_cast<std::ptrdiff_t>(repeated);
    if (std::equal(tail, text.end(), tail - static_cast<std::ptrdiff_t>(period)))
      return places[text.size() - repeated];
  }
  return tokens.size();
}

}  // namespace parley::decoder
