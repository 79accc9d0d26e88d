// Unicode text made ready for the rules of the spoken form: letters of any script become ASCII
// letters, symbols and emoji become words, and each byte remembers where it came from.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parley::text {

// Bytes of the written text.
struct SourceRange {
  size_t begin;
  size_t end;
};

// Code points, and how often each stood in a text.
using CodePointCounts = std::map<char32_t, size_t>;

struct FoldedText {
  // ASCII, and of the rest only what means something to a rule: signs of currencies and
  // € £ ° – — − × ² ³ µ ′ ″.
  std::string text;
  std::vector<SourceRange> source;  // of each byte of `text`
  // Code points that could not be said and became nothing or a space: symbols without a name here,
  // letters of scripts without a romanization, private use, U+FFFD.
  CodePointCounts unspeakable;
  // Letters of other scripts that are said as their romanization.
  CodePointCounts romanized;
};

// For any number of threads. ICU's rules for other scripts are read when first needed: 12 ms.
class CharacterFolder {
 public:
  class Romanizer;  // ICU

  CharacterFolder();
  ~CharacterFolder();
  CharacterFolder(CharacterFolder&&) noexcept;
  CharacterFolder& operator=(CharacterFolder&&) noexcept;

  // Invalid UTF-8 counts as U+FFFD. Scripts are romanized by ICU (Any-Latin; Latin-ASCII): "Москва"
  // -> "Moskva", "naïve" -> "naive"; but not those that write no vowels (Arabic, Hebrew), those
  // that ICU does not know well enough, and no Chinese characters beside Japanese ones, which are
  // read otherwise there. An emoji is its Unicode name in lower case.
  FoldedText fold(std::string_view utf8) const;

 private:
  std::unique_ptr<Romanizer> romanizer_;
};

}  // namespace parley::text
