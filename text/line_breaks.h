// Where a line of text may end (Unicode Standard Annex #14), and how long it looks; by ICU.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace parley::text {

// Finds line breaks. Not for two threads at once.
class LineBreaker {
 public:
  LineBreaker();
  ~LineBreaker();
  LineBreaker(const LineBreaker&) = delete;
  LineBreaker& operator=(const LineBreaker&) = delete;

  // Byte offsets at which a line of valid UTF-8 may end, the text's end included; spaces belong to
  // the line that ends. Between the characters of Chinese and Japanese except where no line may
  // begin or end with them, between the words of Thai, Lao, Khmer and Burmese, after spaces and
  // hyphens elsewhere; Korean only at spaces, as in its subtitles.
  std::vector<size_t> breaks(std::string_view utf8);

 private:
  struct Iterator;
  std::unique_ptr<Iterator> iterator_;
};

// The characters of valid UTF-8 that take a place in a line: not marks above or below others, nor
// invisible ones. A wide character is one, as limits for subtitles count them.
size_t line_length(std::string_view utf8);

}  // namespace parley::text
