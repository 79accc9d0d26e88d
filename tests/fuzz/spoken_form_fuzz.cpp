// Any bytes as text to be spoken: the result is speakable, words come from inside the text and in
// order, and saying it again changes nothing about its alphabet.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "parley/text/spoken/spoken_form.h"

namespace {

using parley::text::EnglishSpokenForm;
using parley::text::SayAs;
using parley::text::SpokenForm;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const SpokenForm& form, size_t size) {
  size_t begin = 0;
  for (const parley::text::SpokenWord& word : form.words) {
    require(!word.text.empty());
    require(word.source.begin >= begin && word.source.begin < word.source.end);
    require(word.source.end <= size);
    begin = word.source.begin;
    for (const char c : word.text) {
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      require(letter || std::string_view("'-,.?!;:").find(c) != std::string_view::npos);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const EnglishSpokenForm kSpokenForm;
  // The sentences that reach it are short.
  const std::string_view input(reinterpret_cast<const char*>(data), size < 1024 ? size : 1024);
  const SpokenForm form = kSpokenForm.speak(input);
  check(form, input.size());
  const std::string text = form.text();
  check(kSpokenForm.speak(text), text.size());
  if (input.empty()) return 0;
  const auto kind = static_cast<SayAs>(data[0] % 11);
  check(kSpokenForm.speak_as(kind, input.substr(1), "dmy"), input.size() - 1);
  return 0;
}
