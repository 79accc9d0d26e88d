// Whisper's tokenizer: byte-level BPE and special tokens.
// Published implementations it equals: openai/whisper tokenizer.py (tiktoken), Hugging Face
// tokenizers.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "parley/text/tokenizer/bpe.h"
#include "parley/text/tokenizer/pretokenizer.h"
#include "parley/text/tokenizer/special_tokens.h"
#include "parley/text/tokenizer/vocabulary.h"

namespace parley::text {

// Immutable once made: any number of threads may use one object. Every function below that makes
// one throws Error for files that are damaged, unsupported, or not Whisper's. Nothing is assumed
// about sizes and ids.
class Tokenizer {
 public:
  explicit Tokenizer(Vocabulary vocabulary, const std::string& where = "tokenizer");

  // The forms are described in text/tokenizer/vocabulary.h. `where` begins error messages.
  static Tokenizer from_json(std::string_view tokenizer_json, const std::string& where);
  static Tokenizer from_ranks(std::vector<std::string> byte_tokens, int vocab_size,
                              const std::string& where = "vocabulary");
  static Tokenizer from_tiktoken(const std::filesystem::path& path, int vocab_size);
  // The best that the folder holds: tokenizer.json, else vocab.json + merges.txt, else the tiktoken
  // file for vocab_size (the rows of the model's token embedding; 0 when not known), else
  // CTranslate2's vocabulary.json or vocabulary.txt.
  static Tokenizer from_folder(const std::filesystem::path& folder, int vocab_size = 0);
  // The same; nothing when the folder holds none.
  static std::optional<Tokenizer> find_in(const std::filesystem::path& folder, int vocab_size = 0);
  // A folder, a tokenizer.json, or a .tiktoken file.
  static Tokenizer from_path(const std::filesystem::path& path, int vocab_size = 0);

  // The canonical form; from_json() makes an equal tokenizer of it, and so does Hugging Face.
  std::string to_tokenizer_json() const;

  // Invalid UTF-8 is replaced first. Names of special tokens are text like any other.
  std::vector<int32_t> encode(std::string_view utf8) const;

  // The text of ordinary tokens, invalid UTF-8 replaced. Special tokens, timestamps and ids that
  // are no token are skipped. For text that grows token by token, pass bytes() through a
  // Utf8Stream.
  std::string decode(std::span<const int32_t> ids) const;

  // The bytes of one token of text, which may be part of a code point; empty for every other id.
  std::string_view bytes(int32_t id) const;

  // One above the largest id. A model's vocabulary may be larger (padding), never smaller.
  int size() const { return static_cast<int>(vocabulary_.tokens.size()); }
  const SpecialTokens& special() const { return special_; }

  // The tokens of text that stand for no speech: brackets, quotes, musical notes, ...; what
  // suppress_tokens "-1" suppresses besides special tokens (openai/whisper tokenizer.py). Sorted.
  std::vector<int32_t> non_speech_tokens() const;

 private:
  Vocabulary vocabulary_;
  SpecialTokens special_;
  std::array<int32_t, 256> byte_ids_;
  Bpe bpe_;
  std::unordered_map<std::string, int32_t> whole_tokens_;  // used when merges are ignored
  Pretokenizer pretokenizer_;
};

}  // namespace parley::text
