#include "parley/text/spoken/utterances.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/text/spoken/letter_names.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

size_t count_characters(std::string_view spoken) { return spoken.size(); }  // ASCII

// Goes through the words of a text that is cut into pieces.
class WordRanges {
 public:
  explicit WordRanges(const std::vector<SpokenWord>& words) : words_(words) {}

  // Where the words were read from that the next `length` bytes of SpokenForm::text() touch.
  SourceRange next(size_t length) {
    at_ += length;
    SourceRange range = words_[word_].source;
    while (word_ + 1 < words_.size() && begin_ + words_[word_].text.size() + 1 < at_) {
      begin_ += words_[word_].text.size() + 1;
      const SourceRange source = words_[++word_].source;
      range = {std::min(range.begin, source.begin), std::max(range.end, source.end)};
    }
    // The next piece begins with the next word, unless this one ends inside a word.
    if (word_ + 1 < words_.size() && begin_ + words_[word_].text.size() + 1 <= at_) {
      begin_ += words_[word_++].text.size() + 1;
    }
    return range;
  }

 private:
  const std::vector<SpokenWord>& words_;
  size_t word_ = 0;   // the first of the next piece
  size_t begin_ = 0;  // where it begins
  size_t at_ = 0;     // where the next piece begins
};

}  // namespace

std::string describe(const CodePointCounts& code_points) {
  constexpr size_t kShown = 5;  // of a script
  std::map<std::string, std::vector<std::string>> by_script;
  size_t total = 0;
  for (const auto& [c, count] : code_points) {
    total += count;
    UErrorCode error = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
    std::string shown;
    const bool visible = u_isgraph(static_cast<UChar32>(c)) != 0 &&
                         u_charType(static_cast<UChar32>(c)) != U_PRIVATE_USE_CHAR;
    if (visible) {
      append_utf8(shown, c);
    } else {
      std::array<char, 16> code{};
      std::snprintf(code.data(), code.size(), "U+%04X", static_cast<unsigned>(c));
      shown = code.data();
    }
    const bool named =
        U_SUCCESS(error) != 0 && script > USCRIPT_INHERITED && script != USCRIPT_UNKNOWN;
    by_script[named ? uscript_getName(script) : ""].push_back(shown);
  }
  std::string text = std::to_string(total) + (total == 1 ? " character:" : " characters:");
  for (const auto& [script, characters] : by_script) {
    if (text.back() != ':') text += ',';
    text += script.empty() ? "" : " " + script + " (";
    for (size_t i = 0; i < std::min(kShown, characters.size()); ++i)
      text += (i == 0 && !script.empty() ? "" : " ") + characters[i];
    if (characters.size() > kShown) text += " ...";
    if (!script.empty()) text += ')';
  }
  return text;
}

std::string closed(std::string_view spoken, bool ends_sentence) {
  static constexpr std::string_view kDots = "...";
  spoken = spoken.substr(0, spoken.find_last_not_of(' ') + 1);
  std::string text;
  for (size_t at = 0; at < spoken.size();) {
    const size_t dots = std::min(spoken.find(kDots, at), spoken.size());
    text += spoken.substr(at, dots - at);
    if (dots < spoken.size() && dots + kDots.size() < spoken.size()) text += ',';
    at = dots + kDots.size();
  }
  if (!text.empty() && std::string_view(".,?!;:").find(text.back()) == std::string_view::npos)
    text += ends_sentence ? '.' : ',';
  return text;
}

UtteranceStream::UtteranceStream(const EnglishSpokenForm& spoken_form, UtteranceOptions options)
    : spoken_form_(spoken_form), options_(std::move(options)) {
  if (options_.max_size == 0) throw Error("utterances", "max_size must be at least 1");
  if (!options_.size_of) options_.size_of = count_characters;
}

void UtteranceStream::push(std::string_view bytes) {
  if (!options_.ssml) return sentences_.push(bytes);
  if (finished_) throw Error(options_.where, "text was added after its end");
  document_ += bytes;
}

void UtteranceStream::pause(Pause pause) {
  if (!options_.ssml) sentences_.pause(pause);
}

void UtteranceStream::finish() {
  if (finished_) return;
  finished_ = true;
  if (!options_.ssml) return sentences_.finish();
  std::vector<SsmlSpan> spans = parse_ssml(document_, spoken_form_, options_.where);
  std::ranges::move(spans, std::back_inserter(spans_));
  document_.clear();
}

std::optional<Utterance> UtteranceStream::next() {
  // One more than is asked for, to know whether it is the last.
  while (ready_.size() < 2 && add_more()) {
  }
  if (ready_.empty()) return std::nullopt;
  Utterance utterance = std::move(ready_.front());
  ready_.pop_front();
  if (finished_ && ready_.empty() && !explicit_pause_) utterance.pause_after_ms = 0;
  return utterance;
}

bool UtteranceStream::add_more() {
  if (!options_.ssml) {
    const std::optional<Sentence> sentence = sentences_.next();
    if (sentence) add_sentence(*sentence, nullptr, pause_after(*sentence));
    return sentence.has_value();
  }
  if (spans_.empty()) return false;
  add_span(spans_.front());
  spans_.pop_front();
  return true;
}

int UtteranceStream::pause_after(const Sentence& sentence) const {
  if (sentence.ends_paragraph) return options_.paragraph_pause_ms;
  return sentence.ends_sentence ? options_.sentence_pause_ms : 0;
}

void UtteranceStream::add_span(const SsmlSpan& span) {
  std::vector<Sentence> sentences = split_sentences(span.text);
  for (size_t i = 0; i < sentences.size(); ++i) {
    Sentence& sentence = sentences[i];
    const bool last = i + 1 == sentences.size();
    if (last) {
      // The end of a span alone ends nothing: "very <prosody rate="fast">fast</prosody> cars".
      static constexpr std::string_view kEnds = ".!?";
      const bool ended =
          !sentence.bytes.empty() && kEnds.find(sentence.bytes.back()) != std::string_view::npos;
      sentence.ends_sentence = span.ends_sentence || ended;
      sentence.ends_paragraph = span.ends_paragraph;
    }
    add_sentence(sentence, &span,
                 last ? span.pause_ms.value_or(pause_after(sentence)) : pause_after(sentence));
  }
  explicit_pause_ = span.pause_ms.has_value();
  if (sentences.empty() && span.pause_ms) ready_.push_back({"", {0, 0}, *span.pause_ms, span.rate});
}

void UtteranceStream::add_sentence(const Sentence& sentence, const SsmlSpan* span, int pause_ms) {
  SpokenForm form = spoken_form_.speak(sentence.bytes);
  if (options_.letter_names) name_letters(form.words);
  for (const auto& [code_point, count] : form.unspeakable) unspeakable_[code_point] += count;
  for (const auto& [code_point, count] : form.romanized) romanized_[code_point] += count;
  if (form.words.empty()) {
    // "***": nothing to say, but a pause.
    if (!ready_.empty())
      ready_.back().pause_after_ms = std::max(ready_.back().pause_after_ms, pause_ms);
    return;
  }
  const std::string text = form.text();
  WordRanges ranges(form.words);
  const auto size_of = [&](std::string_view piece) {
    return options_.size_of(closed(piece, true));
  };
  const auto pieces = cut_to_limit(text, options_.max_size, size_of);
  for (const std::string_view piece : pieces) {
    SourceRange source = ranges.next(piece.size());
    source = {source.begin + sentence.source.begin, source.end + sentence.source.begin};
    if (span != nullptr) source = span->source_of(source.begin, source.end);
    if (piece.find_first_not_of(' ') == std::string_view::npos) continue;
    const bool last = piece.data() + piece.size() == text.data() + text.size();
    ready_.push_back({closed(piece, last && sentence.ends_sentence), source, 0,
                      span == nullptr ? 1 : span->rate});
  }
  ready_.back().pause_after_ms = pause_ms;
}

}  // namespace parley::text
