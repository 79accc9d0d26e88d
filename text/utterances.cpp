#include "text/utterances.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

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
  const SpokenForm form = spoken_form_.speak(sentence.bytes);
  unspeakable_.insert(form.unspeakable.begin(), form.unspeakable.end());
  if (form.words.empty()) {
    // "***": nothing to say, but a pause.
    if (!ready_.empty())
      ready_.back().pause_after_ms = std::max(ready_.back().pause_after_ms, pause_ms);
    return;
  }
  const std::string text = form.text();
  WordRanges ranges(form.words);
  for (const std::string_view piece : cut_to_limit(text, options_.max_size, options_.size_of)) {
    SourceRange source = ranges.next(piece.size());
    source = {source.begin + sentence.source.begin, source.end + sentence.source.begin};
    if (span != nullptr) source = span->source_of(source.begin, source.end);
    const size_t last = piece.find_last_not_of(' ');
    if (last == std::string_view::npos) continue;
    ready_.push_back(
        {std::string(piece.substr(0, last + 1)), source, 0, span == nullptr ? 1 : span->rate});
  }
  ready_.back().pause_after_ms = pause_ms;
}

}  // namespace parley::text
