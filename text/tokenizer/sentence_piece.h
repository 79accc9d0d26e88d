// SentencePiece models (*.model), as SpeechT5 uses one to cut text into characters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace parley::text {

// Immutable; any number of threads may use it. Reference: Kudo & Richardson 2018, by
// libsentencepiece.
class SentencePiece {
 public:
  // `model`: the bytes of a .model file. Throws Error named by `where` when they are not one, or
  // its vocabulary has no end of sentence.
  static SentencePiece from_bytes(std::string_view model, const std::string& where);
  ~SentencePiece();
  SentencePiece(SentencePiece&&) noexcept;

  int size() const;     // of the vocabulary
  int32_t eos() const;  // id of the end of sentence
  int32_t unknown() const;
  // The ids of a text, without eos. Invalid UTF-8 becomes U+FFFD; what the vocabulary lacks becomes
  // unknown().
  std::vector<int32_t> encode(std::string_view text) const;

 private:
  explicit SentencePiece(std::unique_ptr<sentencepiece::SentencePieceProcessor> processor);
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
};

}  // namespace parley::text
