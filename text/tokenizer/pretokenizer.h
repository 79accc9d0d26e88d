// GPT-2's pre-tokenization: text is cut into pieces that no token crosses.
// The published pattern (openai/gpt-2 src/encoder.py, openai/whisper tokenizer.py):
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Letters and numbers are those of PCRE2's Unicode version (14 in PCRE2 10.42): what Unicode added
// since is cut as if it were symbols, where the published tokenizers know better. No text is lost.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

namespace parley::text {

// Immutable; one object may be used by any number of threads. Copies share the compiled pattern.
class Pretokenizer {
 public:
  Pretokenizer();

  // The pieces of `utf8`, which must be valid, in order; together they are the whole text.
  std::vector<std::string_view> split(std::string_view utf8) const;

 private:
  std::shared_ptr<const void> pattern_;  // pcre2_code
};

}  // namespace parley::text
