// Any bytes as a transcript to be scored: valid text comes out, and the word errors add up.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/scoring/english_normalizer.h"
#include "parley/text/scoring/word_error_rate.h"
#include "parley/text/utf8.h"

namespace {

using namespace parley::text;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const EnglishTextNormalizer kEnglish;
  static const BasicTextNormalizer kBasic(true, true);
  const std::string_view input(reinterpret_cast<const char*>(data), std::min(size, size_t{4096}));
  const std::string english = kEnglish(input);
  require(is_valid_utf8(english));
  require(is_valid_utf8(kBasic(input)));
  const std::string_view half = std::string_view(english).substr(english.size() / 2);
  const WordErrors errors = word_errors(english, half);
  require(errors.reference_words() == split_words(english).size());
  require(errors.hits + errors.substitutions + errors.insertions == split_words(half).size());
  return 0;
}
