#include "parley/text/scoring/word_tokens.h"

#include <algorithm>

#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr std::string_view kPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

// The published test, `text.strip() in string.punctuation`: white space alone passes, as do runs of
// ASCII order.
bool is_punctuation(std::string_view text) {
  return kPunctuation.find(strip(text)) != std::string_view::npos;
}

// The smallest runs of tokens whose bytes end where a code point (or something invalid) ends.
std::vector<WordTokens> split_on_unicode(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<WordTokens> runs;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = begin;  // of the tokens of text
    std::string bytes;
    while (end < ids.size() && !tokenizer.bytes(ids[end]).empty())
      bytes += tokenizer.bytes(ids[end++]);
    size_t token_end = 0;
    size_t point_end = 0;
    size_t run_begin = 0;
    for (size_t i = begin; i < end; ++i) {
      token_end += tokenizer.bytes(ids[i]).size();
      while (point_end < token_end) {
        point_end += first_code_point(std::string_view(bytes).substr(point_end)).length;
      }
      if (point_end != token_end) continue;
      const std::string_view run = std::string_view(bytes).substr(run_begin, token_end - run_begin);
      runs.push_back({replace_invalid_utf8(run), begin, i + 1});
      begin = i + 1;
      run_begin = token_end;
    }
    if (begin < ids.size()) {
      runs.push_back({"", begin, begin + 1});
      ++begin;
    }
  }
  return runs;
}

}  // namespace

bool is_written_without_spaces(std::string_view language) {
  constexpr std::string_view kLanguages[] = {"zh", "ja", "th", "lo", "my", "yue"};
  return std::ranges::find(kLanguages, language) != std::end(kLanguages);
}

std::vector<WordTokens> split_to_word_tokens(const Tokenizer& tokenizer,
                                             std::span<const int32_t> ids,
                                             std::string_view language) {
  std::vector<WordTokens> runs = split_on_unicode(tokenizer, ids);
  if (is_written_without_spaces(language)) return runs;
  std::vector<WordTokens> words;
  for (WordTokens& run : runs) {
    const bool begins_word =
        words.empty() || run.text.empty() || run.text.starts_with(' ') || is_punctuation(run.text);
    if (begins_word) {
      words.push_back(std::move(run));
    } else {
      words.back().text += run.text;
      words.back().end = run.end;
    }
  }
  return words;
}

}  // namespace parley::text
