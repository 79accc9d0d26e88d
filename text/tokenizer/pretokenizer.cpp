#include "parley/text/tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "parley/core/base/error.h"

namespace parley::text {

namespace {

// \s is spelled out as Unicode's White_Space, which is what \s means in the published tokenizers'
// regular expressions; PCRE2's own \s also takes U+180E. Possessive repeats (++) match the same
// here, since nothing follows them, and never backtrack.
#define WHITE_SPACE R"(\t-\r \x{85}\p{Z})"
constexpr std::string_view kPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}++| ?\p{N}++| ?[^\p{L}\p{N})" WHITE_SPACE
    R"(]++|[)" WHITE_SPACE R"(]+(?![^)" WHITE_SPACE R"(])|[)" WHITE_SPACE R"(]++)";
#undef WHITE_SPACE

std::string describe(int error) {
  PCRE2_UCHAR message[256];
  pcre2_get_error_message(error, message, sizeof(message));
  return reinterpret_cast<const char*>(message);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

Pretokenizer::Pretokenizer() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern.data()), kPattern.size(),
                                   PCRE2_UTF, &error, &offset, nullptr);
  if (code == nullptr) throw Error("pre-tokenizer", "PCRE2 cannot compile: " + describe(error));
  pattern_ = std::shared_ptr<const void>(code, [code](const void*) { pcre2_code_free(code); });
  // Without a JIT for this machine (or where executable memory is forbidden) matching is
  // interpreted.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

std::vector<std::string_view> Pretokenizer::split(std::string_view utf8) const {
  const auto* code = static_cast<const pcre2_code*>(pattern_.get());
  const std::unique_ptr<pcre2_match_data, FreeMatchData> match(pcre2_match_data_create(1, nullptr));
  if (match == nullptr) throw Error("pre-tokenizer", "out of memory");
  std::vector<std::string_view> pieces;
  for (size_t at = 0; at < utf8.size();) {
    const int result = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(utf8.data()), utf8.size(), at,
                                   PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (result < 0) throw Error("pre-tokenizer", "PCRE2 cannot match: " + describe(result));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
    // Every code point is a letter, a number, white space or none of these: a match begins where
    // the last ended.
    if (range[0] != at || range[1] <= at) throw Error("pre-tokenizer", "the text is not UTF-8");
    pieces.push_back(utf8.substr(range[0], range[1] - range[0]));
    at = range[1];
  }
  return pieces;
}

}  // namespace parley::text
