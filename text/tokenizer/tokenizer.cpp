#include "parley/text/tokenizer/tokenizer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/text/tokenizer/tokenizer_document.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr int kEnglishOnlySize = 51864;

TokenIds special_ids(const Vocabulary& vocabulary, const std::string& where) {
  TokenIds ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const Token& token = vocabulary.tokens[id];
    if (token.kind != TokenKind::kSpecial) continue;
    if (!ids.emplace(token.text, static_cast<int32_t>(id)).second) {
      throw Error(where, "two ids for the token " + token.text);
    }
  }
  return ids;
}

std::array<int32_t, 256> find_byte_ids(const Vocabulary& vocabulary, const std::string& where) {
  std::array<int32_t, 256> ids;
  ids.fill(kNoToken);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const Token& token = vocabulary.tokens[id];
    if (token.kind != TokenKind::kOrdinary || token.text.size() != 1) continue;
    ids[static_cast<uint8_t>(token.text[0])] = static_cast<int32_t>(id);
  }
  const auto missing = std::ranges::find(ids, kNoToken);
  if (missing != ids.end()) {
    throw Error(where, "no token for the byte " + std::to_string(missing - ids.begin()),
                "a byte-level vocabulary holds all 256");
  }
  return ids;
}

Bpe make_bpe(const Vocabulary& vocabulary, const std::string& where) {
  const auto text_of = [&](int32_t id) -> const std::string& {
    if (id < 0 || static_cast<size_t>(id) >= vocabulary.tokens.size() ||
        vocabulary.tokens[static_cast<size_t>(id)].kind != TokenKind::kOrdinary) {
      throw Error(where, "a merge uses token " + std::to_string(id) + ", which is not text");
    }
    return vocabulary.tokens[static_cast<size_t>(id)].text;
  };
  Bpe bpe;
  bpe.reserve(vocabulary.merges.size());
  for (const Merge& merge : vocabulary.merges) {
    const std::string& left = text_of(merge.left);
    const std::string& right = text_of(merge.right);
    const std::string_view joined = text_of(merge.result);
    if (joined.size() != left.size() + right.size() || !joined.starts_with(left) ||
        !joined.ends_with(right)) {
      throw Error(where, "a merge does not make token " + std::to_string(merge.result));
    }
    bpe.add(merge);
  }
  return bpe;
}

std::filesystem::path tiktoken_file(const std::filesystem::path& folder, int vocab_size) {
  return folder / (vocab_size <= kEnglishOnlySize ? "gpt2.tiktoken" : "multilingual.tiktoken");
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary, const std::string& where)
    : vocabulary_(std::move(vocabulary)),
      special_(find_special_tokens(special_ids(vocabulary_, where), where)),
      byte_ids_(find_byte_ids(vocabulary_, where)),
      bpe_(make_bpe(vocabulary_, where)) {
  for (int i = 0; i < kTimestampTokens; ++i) {
    vocabulary_.set(special_.timestamp_begin + i, TokenKind::kSpecial, timestamp_name(i), where);
  }
  if (!vocabulary_.ignore_merges) return;
  for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const Token& token = vocabulary_.tokens[id];
    if (token.kind == TokenKind::kOrdinary) {
      whole_tokens_.emplace(token.text, static_cast<int32_t>(id));
    }
  }
}

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, const std::string& where) {
  return Tokenizer(vocabulary_from_tokenizer_json(tokenizer_json, where), where);
}

Tokenizer Tokenizer::from_ranks(std::vector<std::string> byte_tokens, int vocab_size,
                                const std::string& where) {
  return Tokenizer(vocabulary_from_ranks(std::move(byte_tokens), vocab_size, where), where);
}

Tokenizer Tokenizer::from_tiktoken(const std::filesystem::path& path, int vocab_size) {
  if (vocab_size <= 0) {
    throw Error(path.string(), "a tiktoken file does not say how large the model's vocabulary is");
  }
  return Tokenizer(vocabulary_from_tiktoken(path, vocab_size), path.string());
}

std::optional<Tokenizer> Tokenizer::find_in(const std::filesystem::path& folder, int vocab_size) {
  const auto has = [&](const std::filesystem::path& name) {
    std::error_code unreadable;
    return std::filesystem::exists(folder / name, unreadable);
  };
  if (has("tokenizer.json")) return from_path(folder / "tokenizer.json");
  if (has("vocab.json") && has("merges.txt")) {
    return Tokenizer(vocabulary_from_folder(folder), folder.string());
  }
  const std::filesystem::path tiktoken = tiktoken_file(folder, vocab_size);
  if (has(tiktoken.filename())) return from_tiktoken(tiktoken, vocab_size);
  for (const char* name : {"vocabulary.json", "vocabulary.txt"}) {
    if (!has(name)) continue;
    const std::filesystem::path path = folder / name;
    return Tokenizer(vocabulary_from_list(path), path.string());
  }
  return std::nullopt;
}

Tokenizer Tokenizer::from_folder(const std::filesystem::path& folder, int vocab_size) {
  std::optional<Tokenizer> found = find_in(folder, vocab_size);
  if (found) return *std::move(found);
  const bool without_merges = std::filesystem::exists(folder / "vocab.json");
  throw Error(folder.string(),
              without_merges ? "vocab.json is without merges.txt" : "has no tokenizer",
              "needed: tokenizer.json, or vocab.json and merges.txt, or " +
                  tiktoken_file(folder, vocab_size).filename().string() +
                  ", or CTranslate2's vocabulary.json or vocabulary.txt");
}

Tokenizer Tokenizer::from_path(const std::filesystem::path& path, int vocab_size) {
  std::error_code unreadable;
  if (std::filesystem::is_directory(path, unreadable)) return from_folder(path, vocab_size);
  if (path.extension() == ".tiktoken") return from_tiktoken(path, vocab_size);
  return from_json(read_file(path, kMaxTokenizerBytes), path.string());
}

std::string Tokenizer::to_tokenizer_json() const { return text::to_tokenizer_json(vocabulary_); }

std::vector<int32_t> Tokenizer::encode(std::string_view utf8) const {
  const std::string text = replace_invalid_utf8(utf8);
  std::vector<int32_t> ids;
  std::vector<int32_t> symbols;
  for (const std::string_view piece : pretokenizer_.split(text)) {
    if (vocabulary_.ignore_merges) {
      const auto whole = whole_tokens_.find(std::string(piece));
      if (whole != whole_tokens_.end()) {
        ids.push_back(whole->second);
        continue;
      }
    }
    symbols.clear();
    for (const char byte : piece) symbols.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
    bpe_.merge(symbols);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string joined;
  for (const int32_t id : ids) joined += bytes(id);
  return replace_invalid_utf8(joined);
}

std::string_view Tokenizer::bytes(int32_t id) const {
  if (id < 0 || id >= size()) return {};
  const Token& token = vocabulary_.tokens[static_cast<size_t>(id)];
  const bool is_text = token.kind == TokenKind::kOrdinary || token.kind == TokenKind::kText;
  return is_text ? std::string_view(token.text) : std::string_view();
}

std::vector<int32_t> Tokenizer::non_speech_tokens() const {
  static constexpr std::string_view kSymbols[] = {
      "\"",  "#",  "(",  ")",   "*",   "+",   "/",   ":",  ";",   "<",  "=",  ">",
      "@",   "[",  "\\", "]",   "^",   "_",   "`",   "{",  "|",   "}",  "~",  "「",
      "」",  "『", "』", "<<",  ">>",  "<<<", ">>>", "--", "---", "-(", "-[", "('",
      "(\"", "((", "))", "(((", ")))", "[[",  "]]",  "{{", "}}",  "♪♪", "♪♪♪"};
  // U+2640..U+267F: a token of their first two bytes can go too, since what else begins so is no
  // speech either.
  static constexpr std::string_view kMusic[] = {"♩", "♪", "♫", "♬", "♭", "♮", "♯"};
  std::set<int32_t> result;
  for (const std::string_view mark : {" -", " '"}) {  // fine within words, not before them
    const int32_t first = encode(mark)[0];
    if (bytes(first) == mark) result.insert(first);
  }
  for (const std::string_view symbol : kSymbols) {
    for (const char* space : {"", " "}) {
      const std::vector<int32_t> ids = encode(std::string(space).append(symbol));
      if (ids.size() == 1) result.insert(ids[0]);
    }
  }
  for (const std::string_view symbol : kMusic) {
    for (const char* space : {"", " "}) {
      // A small vocabulary may break it earlier: its first token is a space or begins any
      // punctuation.
      const std::string text = std::string(space).append(symbol);
      const int32_t first = encode(text)[0];
      if (bytes(first).size() + 1 >= text.size()) result.insert(first);
    }
  }
  return {result.begin(), result.end()};
}

}  // namespace parley::text
