// From a text, plain or SSML, to what is handed to a voice piece by piece: the entry of text to
// speech.
//
//   UtteranceStream utterances(spoken_form, {.max_size = 450, .size_of = tokens_of});
//   while (read(chunk)) {
//     utterances.push(chunk);
//     while (auto utterance = utterances.next()) synthesize(*utterance);
//   }
//   utterances.finish();
//   while (auto utterance = utterances.next()) synthesize(*utterance);
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "parley/text/spoken/sentences.h"
#include "parley/text/spoken/spoken_form.h"
#include "parley/text/spoken/ssml.h"

namespace parley::text {

struct UtteranceOptions {
  bool ssml = false;            // else plain text
  size_t max_size = 400;        // of an utterance, as `size_of` counts; best what the voice learned
  SizeOf size_of = nullptr;     // of spoken text; null: characters
  bool letter_names = false;    // letters are said by name (text/spoken/letter_names.h)
  int sentence_pause_ms = 250;  // after a sentence
  int paragraph_pause_ms = 600;  // after a paragraph
  std::string where = "SSML";    // names an SSML document in errors
};

// A sentence, or as much of one as the model can take at once.
struct Utterance {
  // Words with a space between them, see SpokenWord; the last one closed by one of . , ? ! ; :
  // Empty: a pause alone.
  std::string spoken;
  SourceRange source;  // the bytes that it was read from
  int pause_after_ms;  // 0 inside a sentence, and after the last but for a <break>
  double rate;         // 1; SSML's prosody, to be multiplied with the caller's speed
};

// A text that arrives in pieces, cut anywhere, becomes utterances. The first sentence of a plain
// text is there as soon as it is complete; an SSML document is read as a whole, at finish(). No
// word is lost, and the utterances do not depend on how the text was cut for push().
class UtteranceStream {
 public:
  // `spoken_form` must outlive the stream.
  UtteranceStream(const EnglishSpokenForm& spoken_form, UtteranceOptions options = {});

  void push(std::string_view bytes);
  // No text comes for now (see SentenceStream); SSML waits for its end.
  void pause(Pause pause);
  // The text has ended. Throws Error for a wrong SSML document: nothing of it is spoken.
  void finish();
  // The next utterance, or nothing: more text is needed, or there is none.
  std::optional<Utterance> next();

  // Code points so far for which nothing is said (see SpokenForm).
  const CodePointCounts& unspeakable() const { return unspeakable_; }
  const CodePointCounts& romanized() const { return romanized_; }

 private:
  bool add_more();
  void add_span(const SsmlSpan& span);
  void add_sentence(const Sentence& sentence, const SsmlSpan* span, int pause_ms);
  int pause_after(const Sentence& sentence) const;

  const EnglishSpokenForm& spoken_form_;
  UtteranceOptions options_;
  SentenceStream sentences_;    // plain text
  std::string document_;        // SSML
  std::deque<SsmlSpan> spans_;  // of it, not yet used
  std::deque<Utterance> ready_;
  bool explicit_pause_ = false;  // the last one's comes from SSML's <break>
  CodePointCounts unspeakable_;
  CodePointCounts romanized_;
  bool finished_ = false;
};

// For people: "12 characters: Arabic (م ر ح ب ا), U+E000".
std::string describe(const CodePointCounts& code_points);

// `spoken` as a voice is to hear it: closed by one of . , ? ! ; : for a voice that hears no end may
// say it twice. `ends_sentence`: by a period rather than a comma. "..." becomes one of these, too.
std::string closed(std::string_view spoken, bool ends_sentence);

}  // namespace parley::text
