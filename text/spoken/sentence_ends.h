// Where a sentence ends (for text/spoken/sentences.cpp).
#pragma once

#include <cstddef>
#include <string_view>

namespace parley::text {

struct SentenceEnd {
  enum Decision {
    kGoesOn,     // no sentence ends here: look on from `at`
    kEnds,       // one ends here, its last byte is before `at`
    kUndecided,  // what follows is not here yet
  };
  Decision decision;
  size_t at;
  bool ends_paragraph = false;
};

// `text` begins with the first byte of a sentence; a sentence may end at byte `at` of it.
// `complete`: nothing follows `text`. At most 64 bytes after the place are looked at.
SentenceEnd sentence_end(std::string_view text, size_t at, bool complete);

// Whether `text` ends with a line that ends a sentence, whatever may follow: not with an
// abbreviation.
bool ends_line_and_sentence(std::string_view text);

}  // namespace parley::text
