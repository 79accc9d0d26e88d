#include "parley/text/tokenizer/vocabulary.h"

#include <utility>

#include "parley/core/base/error.h"

namespace parley::text {

void Vocabulary::set(int64_t id, TokenKind kind, std::string text, const std::string& where) {
  if (id < 0 || id >= kMaxVocabularySize) {
    throw Error(where, "token id " + std::to_string(id) + " is out of range");
  }
  const auto index = static_cast<size_t>(id);
  if (index >= tokens.size()) tokens.resize(index + 1);
  Token& token = tokens[index];
  if (token.kind != TokenKind::kAbsent && (token.kind != kind || token.text != text)) {
    throw Error(where, "two tokens have the id " + std::to_string(id));
  }
  token = {std::move(text), kind};
}

}  // namespace parley::text
