// A Whisper vocabulary as read from any of its published forms, before it is made a Tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/tokenizer/bpe.h"

namespace parley::text {

// Ids at or above this are refused (the largest published vocabularies are a quarter of it).
inline constexpr int32_t kMaxVocabularySize = 1 << 20;

enum class TokenKind : uint8_t {
  kAbsent,    // no token has this id, or its bytes are unknown
  kOrdinary,  // bytes of text, reached by encode()
  kText,      // bytes of text that only the model may produce (added to a vocabulary after its
              // training)
  kSpecial,   // no text: text is the name, <|endoftext|>
};

struct Token {
  std::string text;
  TokenKind kind = TokenKind::kAbsent;
};

struct Vocabulary {
  std::vector<Token> tokens;  // by id
  std::vector<Merge> merges;  // by rank
  // A pre-token that is a token as a whole needs no merges (Hugging Face's ignore_merges;
  // tiktoken's rule).
  bool ignore_merges = false;

  // Enters a token. Throws Error for an id out of range or one that already means something else.
  void set(int64_t id, TokenKind kind, std::string text, const std::string& where);
};

// Hugging Face tokenizer.json: model BPE over the byte-level alphabet, merges as "a b" or ["a",
// "b"]. What would change the text and is not byte-level BPE with GPT-2's pattern (normalizers,
// dropout, prefixes) is refused.
Vocabulary vocabulary_from_tokenizer_json(std::string_view json, const std::string& where);

// Hugging Face's older files: vocab.json and merges.txt, and where present added_tokens.json,
// special_tokens_map.json, tokenizer_config.json.
Vocabulary vocabulary_from_folder(const std::filesystem::path& folder);

// Byte strings in the order of their ids, which is the order in which they were learned (a
// whisper.cpp file, a tiktoken file). Special tokens are not listed, except that <|endoftext|> and
// what follows it may be: their ids follow from the size of the model's vocabulary, 51864
// (English), 51865, or 51866 (large-v3) for OpenAI's, in general ordinary tokens + 1509 +
// languages. Merges are reconstructed. Lists written through a lossy text conversion, with U+FFFD
// where bytes were no whole code point, lose those tokens (they become absent); the 256 single
// bytes are restored from GPT-2's order.
Vocabulary vocabulary_from_ranks(std::vector<std::string> byte_tokens, int vocab_size,
                                 const std::string& where);

// The same in the byte-level alphabet, special tokens by name: vocabulary.json (a list) or
// vocabulary.txt (a line each) of CTranslate2.
Vocabulary vocabulary_from_list(const std::filesystem::path& path);

// Names by id, in the byte-level alphabet, and merges, each "left right" (a GGUF file). Whisper's
// special tokens are known by their names; "<|unused_<id>|>" is no token.
Vocabulary vocabulary_from_names(const std::vector<std::string>& names,
                                 const std::vector<std::string>& merges, const std::string& where);

// tiktoken: lines of "base64 rank" (gpt2.tiktoken, multilingual.tiktoken of openai/whisper).
Vocabulary vocabulary_from_tiktoken(const std::filesystem::path& path, int vocab_size);

// The canonical form, which Hugging Face tokenizers load with the same ids.
std::string to_tokenizer_json(const Vocabulary& vocabulary);

}  // namespace parley::text
