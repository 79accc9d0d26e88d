#include "parley/tests/text/golden.h"

#include <random>

#include "parley/core/base/file.h"
#include "parley/tests/support.h"
#include "parley/text/utf8.h"

namespace parley::test {

namespace {

nlohmann::json load(const char* name) {
  return nlohmann::json::parse(read_file(source_path("tests/text/golden") / name, 1 << 20));
}

}  // namespace

const nlohmann::json& golden() {
  static const nlohmann::json data = load("tokenizer_golden.json");
  return data;
}

const nlohmann::json& small_tokenizer_json() {
  static const nlohmann::json data = load("small_tokenizer.json");
  return data;
}

const text::Tokenizer& small_tokenizer() {
  static const auto tokenizer =
      text::Tokenizer::from_path(source_path("tests/text/golden/small_tokenizer.json"));
  return tokenizer;
}

const text::Tokenizer* gpt2_tokenizer() {
  static const std::optional<text::Tokenizer> tokenizer = []() -> std::optional<text::Tokenizer> {
    const auto folder = shared_path("models/pilot-en");
    if (!folder) return std::nullopt;
    return text::Tokenizer::from_folder(*folder);
  }();
  return tokenizer ? &*tokenizer : nullptr;
}

std::vector<std::string> byte_tokens(const text::Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  tokens.reserve(static_cast<size_t>(tokenizer.special().eot));
  for (int id = 0; id < tokenizer.special().eot; ++id) tokens.emplace_back(tokenizer.bytes(id));
  return tokens;
}

std::string random_bytes(unsigned seed, size_t count) {
  std::minstd_rand generator(seed);
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(generator() >> 7 & 0xFF);
  return bytes;
}

std::string random_text(unsigned seed, size_t count) {
  std::minstd_rand generator(seed);
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    constexpr char32_t kLimits[] = {0x80, 0x80, 0x800, 0x3100, 0xD800, 0x110000};
    const char32_t limit = kLimits[generator() >> 7 & 3];
    const char32_t value = (generator() >> 5) % (i % 9 == 0 ? 0x110000 : limit);
    text::append_utf8(text, value >= 0xD800 && value < 0xE000 ? U' ' : value);
  }
  return text;
}

}  // namespace parley::test
