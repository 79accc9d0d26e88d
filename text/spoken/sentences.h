// Running text cut into sentences, and sentences cut into pieces that a model can take. Every byte
// that is not white space between sentences comes out again, in order.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/text/spoken/spoken_characters.h"

namespace parley::text {

struct Sentence {
  std::string bytes;    // as they came, white space around them left out
  SourceRange source;   // where in the whole text
  bool ends_sentence;   // false: cut because it was too long
  bool ends_paragraph;  // a blank line or the end of the text follows

  // The bytes with invalid UTF-8 replaced.
  std::string text() const;
};

// How long no text has come: a moment, or so long that what there is should be said.
enum class Pause { kShort, kLong };

// A stream of bytes cut into sentences. A sentence is ready as soon as what follows it shows that
// it is one: usually one character. How the bytes are cut into pieces for push() changes nothing.
//
// A sentence ends at . ! ? (and their like in other scripts) with closing quotes, when white space
// and then no lower-case letter follows, and the period is none of an abbreviation, initial, list
// number or decimal; and at a blank line. One longer than `max_bytes` is cut as by cut_to_limit().
//
//   SentenceStream sentences;
//   while (read(chunk)) {
//     sentences.push(chunk);
//     while (auto sentence = sentences.next()) use(*sentence);
//   }
//   sentences.finish();
//   while (auto sentence = sentences.next()) use(*sentence);
class SentenceStream {
 public:
  // max_bytes at least 4. At most about that much and what was last pushed is held in memory.
  explicit SentenceStream(size_t max_bytes = 2000);

  void push(std::string_view bytes);
  // No text comes for now. After a short pause a sentence that ends with its line is complete;
  // after a long one everything is that was pushed so far.
  void pause(Pause pause);
  // The text has ended. Nothing may be pushed after it.
  void finish() { finished_ = true; }
  // The next sentence, or nothing: more bytes are needed, or there are none.
  std::optional<Sentence> next();

 private:
  std::string_view rest() const { return std::string_view(held_).substr(begin_); }
  Sentence take(size_t length, bool ends_sentence, bool ends_paragraph);

  size_t max_bytes_;
  std::string held_;
  size_t begin_ = 0;     // of what has not been returned, in held_
  size_t scanned_ = 0;   // bytes after begin_ that hold no end of a sentence
  size_t offset_ = 0;    // of held_ in the whole text
  bool paused_ = false;  // what was pushed so far is complete
  bool finished_ = false;
};

// All sentences of a text.
std::vector<Sentence> split_sentences(std::string_view text, size_t max_bytes = 2000);

// How large a text is for a model: tokens, characters. It must not shrink when text is added.
using SizeOf = std::function<size_t(std::string_view)>;

// Cuts `text` into consecutive pieces of at most `limit` and of about the same size: after clauses
// (, ; : or a dash), else before conjunctions, else between words, else (a word that is too long
// alone) between code points. The pieces joined are the text; white space at the end of a piece
// does not count. A code point that alone is over the limit is a piece.
std::vector<std::string_view> cut_to_limit(std::string_view text, size_t limit,
                                           const SizeOf& size_of);

// Two pieces, cut so near the middle as a good place is; one, if it is a single word.
std::vector<std::string_view> halves(std::string_view text);

}  // namespace parley::text
