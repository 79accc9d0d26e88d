// Vocabularies that are lists of byte strings in the order in which they were learned.
#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/text/languages.h"
#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/special_name.h"
#include "parley/text/tokenizer/special_tokens.h"
#include "parley/text/tokenizer/vocabulary.h"

namespace parley::text {

namespace {

constexpr size_t kMaxFileBytes = size_t{16} << 20;  // OpenAI's files have 0.8 MB
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

using ByteIds = std::array<int32_t, 256>;

// The id of each single byte, kNoToken where there is none.
ByteIds find_byte_ids(const std::vector<std::string>& tokens) {
  ByteIds ids;
  ids.fill(kNoToken);
  for (size_t id = tokens.size(); id-- > 0;) {
    if (tokens[id].size() == 1) ids[static_cast<uint8_t>(tokens[id][0])] = static_cast<int32_t>(id);
  }
  return ids;
}

// A converter that decoded each token as UTF-8 with errors="replace" has lost every partial code
// point. Single bytes come back from their known order; of the longer tokens nothing can be known:
// they become empty.
void restore_lossy_tokens(std::vector<std::string>& tokens, const std::string& where) {
  const std::array<uint8_t, 256> order = byte_level_order();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool lossy = tokens[id].find(kReplacement) != std::string::npos;
    if (id >= order.size()) {
      if (lossy) tokens[id].clear();
      continue;
    }
    std::string byte(1, static_cast<char>(order[id]));
    if (tokens[id] != byte && !lossy) {
      throw Error(where, "the vocabulary does not hold all 256 bytes",
                  "give the checkpoint's tokenizer");
    }
    tokens[id] = std::move(byte);
  }
}

// Special tokens may be listed too, from <|endoftext|> on: cuts them off once they are as they
// should be.
void enter_special_tokens(Vocabulary& vocabulary, std::vector<std::string>& tokens, int vocab_size,
                          const std::string& where) {
  const auto eot = std::ranges::find(tokens, "<|endoftext|>");
  const auto ordinary = static_cast<int64_t>(eot - tokens.begin());
  const int64_t without_languages = static_cast<int64_t>(whisper_special_layout(0).size());
  const int64_t language_count = vocab_size - ordinary - without_languages;
  if (language_count < 0 || language_count > static_cast<int64_t>(languages().size())) {
    throw Error(where,
                std::to_string(ordinary) +
                    " tokens and Whisper's special tokens do not make a vocabulary of " +
                    std::to_string(vocab_size),
                "give the checkpoint's tokenizer");
  }
  const std::vector<std::string> layout = whisper_special_layout(static_cast<int>(language_count));
  const std::vector<std::string> listed(eot, tokens.end());
  if (listed.size() > layout.size() || !std::equal(listed.begin(), listed.end(), layout.begin())) {
    throw Error(where, "the tokens after <|endoftext|> are not Whisper's",
                "give the checkpoint's tokenizer");
  }
  tokens.erase(eot, tokens.end());
  for (size_t i = 0; i < layout.size(); ++i) {
    vocabulary.set(ordinary + static_cast<int64_t>(i), TokenKind::kSpecial, layout[i], where);
  }
}

// A token was learned by joining the two that its bytes made with everything learned before it.
void reconstruct_merges(Vocabulary& vocabulary, const std::vector<std::string>& tokens,
                        const ByteIds& byte_ids) {
  Bpe bpe;
  bpe.reserve(tokens.size());
  std::vector<int32_t> symbols;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() < 2) continue;
    symbols.clear();
    for (const char byte : tokens[id]) symbols.push_back(byte_ids[static_cast<uint8_t>(byte)]);
    bpe.merge(symbols);
    if (symbols.size() != 2) {
      vocabulary.ignore_merges = true;  // reached only when it is a whole pre-token
      continue;
    }
    vocabulary.merges.push_back({symbols[0], symbols[1], static_cast<int32_t>(id)});
    bpe.add(vocabulary.merges.back());
  }
}

// The value of a base64 digit, or -1.
int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// OpenAI's multilingual file has "=" alone for an empty token.
std::string decode_base64(std::string_view text, const std::string& where) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) throw Error(where, "a token is not base64");
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFF;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  return bytes;
}

// One line, "base64 rank".
std::pair<std::string, size_t> parse_line(std::string_view line, const std::string& where) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) throw Error(where, "a line is not \"base64 rank\"");
  const std::string_view digits = line.substr(space + 1);
  size_t rank = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Error(where, "a rank is not a number");
  }
  return {decode_base64(line.substr(0, space), where), rank};
}

std::vector<std::string> read_list(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  std::vector<std::string> names;
  if (path.extension() == ".json") {
    try {
      names = nlohmann::json::parse(text).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception& error) {
      throw Error(path.string(), std::string("is not a list of tokens: ") + error.what());
    }
    return names;
  }
  for (std::string_view rest = text; !rest.empty();) {  // an empty line is an empty token
    names.emplace_back(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), names.back().size() + 1));
    if (names.back().ends_with('\r')) names.back().pop_back();
  }
  return names;
}

// All tokens of text, by id, and their merges; an empty one is none.
void enter_text_tokens(Vocabulary& vocabulary, std::vector<std::string> tokens,
                       const std::string& where) {
  ByteIds byte_ids = find_byte_ids(tokens);
  if (std::ranges::count(byte_ids, kNoToken) > 0) {
    if (tokens.size() >= byte_ids.size()) restore_lossy_tokens(tokens, where);
    byte_ids = find_byte_ids(tokens);
  }
  if (std::ranges::count(byte_ids, kNoToken) > 0) {
    throw Error(where, "the vocabulary does not hold all 256 bytes",
                "give the checkpoint's tokenizer");
  }
  std::unordered_set<std::string_view> distinct;
  for (const std::string& token : tokens) {
    if (!token.empty() && (!distinct.insert(token).second || is_whisper_special(token))) {
      throw Error(where, "a token is listed twice", "give the checkpoint's tokenizer");
    }
  }
  reconstruct_merges(vocabulary, tokens, byte_ids);
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty()) continue;
    vocabulary.set(static_cast<int64_t>(id), TokenKind::kOrdinary, std::move(tokens[id]), where);
  }
}

void check_size(const std::vector<std::string>& tokens, const std::string& where) {
  if (tokens.size() > static_cast<size_t>(kMaxVocabularySize))
    throw Error(where, "too many tokens");
}

}  // namespace

Vocabulary vocabulary_from_ranks(std::vector<std::string> tokens, int vocab_size,
                                 const std::string& where) {
  check_size(tokens, where);
  Vocabulary vocabulary;
  enter_special_tokens(vocabulary, tokens, vocab_size, where);
  enter_text_tokens(vocabulary, std::move(tokens), where);
  return vocabulary;
}

Vocabulary vocabulary_from_list(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::vector<std::string> tokens = read_list(path);
  check_size(tokens, where);
  Vocabulary vocabulary;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (is_special_name(tokens[id])) {
      vocabulary.set(static_cast<int64_t>(id), TokenKind::kSpecial, tokens[id], where);
      tokens[id].clear();
      continue;
    }
    std::optional<std::string> bytes = from_byte_level(tokens[id]);
    if (!bytes) throw Error(where, "a token is not in the byte-level alphabet: " + tokens[id]);
    tokens[id] = *std::move(bytes);
  }
  enter_text_tokens(vocabulary, std::move(tokens), where);
  return vocabulary;
}

Vocabulary vocabulary_from_tiktoken(const std::filesystem::path& path, int vocab_size) {
  const std::string where = path.string();
  const std::string text = read_file(path, kMaxFileBytes);
  std::vector<std::pair<std::string, size_t>> lines;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back(parse_line(line, where));
  }
  std::vector<std::string> tokens(lines.size());
  std::vector<bool> seen(lines.size());
  for (auto& [bytes, rank] : lines) {
    if (rank >= lines.size() || seen[rank]) throw Error(where, "the ranks are not 0, 1, 2, ...");
    seen[rank] = true;
    tokens[rank] = std::move(bytes);
  }
  return vocabulary_from_ranks(std::move(tokens), vocab_size, where);
}

}  // namespace parley::text
