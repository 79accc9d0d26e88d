#include "parley/text/spoken/letter_names.h"

#include <array>
#include <string>
#include <string_view>

namespace parley::text {

namespace {

// As English spelling has them, but for I, which every voice knows.
constexpr std::array<std::string_view, 26> kNames = {
    "ay",  "bee", "see", "dee", "ee",         "eff", "gee", "aitch", "I",
    "jay", "kay", "ell", "em",  "en",         "oh",  "pee", "cue",   "are",
    "ess", "tee", "you", "vee", "double-you", "ex",  "why", "zee"};

// "F", "I-led", "D's", "C,".
bool is_letter(const std::vector<SpokenWord>& words, size_t i) {
  if (i >= words.size()) return false;
  const std::string& word = words[i].text;
  const bool capital = !word.empty() && word[0] >= 'A' && word[0] <= 'Z';
  return capital &&
         (word.size() == 1 || std::string_view("'-,.?!;:").find(word[1]) != std::string_view::npos);
}

bool is_plain(const std::vector<SpokenWord>& words, size_t i, char letter) {
  return i < words.size() && words[i].text.starts_with(letter);
}

}  // namespace

void name_letters(std::vector<SpokenWord>& words) {
  // What the words were: names are not letters.
  std::vector<bool> letters;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool pronoun = is_plain(words, i, 'I') && words[i].text.starts_with("I'");
    letters.push_back(is_letter(words, i) && !pronoun);
  }
  const auto sure = [&](size_t i) {
    return i < words.size() && letters[i] && !is_plain(words, i, 'A') && !is_plain(words, i, 'I');
  };
  std::vector<size_t> named;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool article = is_plain(words, i, 'A') && words[i].text.size() == 1;
    if (letters[i] && (!article || sure(i + 1) || (i > 0 && sure(i - 1)))) named.push_back(i);
  }
  for (const size_t i : named)
    words[i].text.replace(0, 1, kNames[static_cast<size_t>(words[i].text[0] - 'A')]);
}

}  // namespace parley::text
