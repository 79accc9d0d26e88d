// A subset of SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/): <speak>, <p>, <s>,
// <break time|strength>, <say-as interpret-as format>, <sub alias>, <prosody rate>.
//
// Everything else is refused by name and line: an element or attribute that would be ignored is an
// error, as are document types and entities of one's own, and elements more than 32 deep.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/spoken/spoken_form.h"

namespace parley::text {

// Text that is spoken in one go: no pause, change of rate or paragraph inside.
struct SsmlSpan {
  // What a verbatim run of the document, or something said for it (sub, say-as), became.
  struct Run {
    size_t begin;        // in `text`
    SourceRange source;  // in the document
    bool verbatim;       // byte for byte as in the document
  };

  std::string text;             // UTF-8, to be normalized and split; empty: a pause alone
  std::vector<Run> runs;        // of `text`, in order; the last extends to its end
  std::optional<int> pause_ms;  // <break> after it
  bool ends_sentence = false;   // </s> or </p> after it
  bool ends_paragraph = false;  // </p>
  double rate = 1;              // <prosody rate>: 2 is twice as fast

  // Where text[begin, end) came from. begin < end.
  SourceRange source_of(size_t begin, size_t end) const;
};

// The spans of a document in UTF-8. Throws Error("where:LINE", ...) for what is not well-formed or
// not of the subset. `where` names the document in messages.
std::vector<SsmlSpan> parse_ssml(std::string_view document, const EnglishSpokenForm& spoken_form,
                                 const std::string& where = "SSML");

}  // namespace parley::text
