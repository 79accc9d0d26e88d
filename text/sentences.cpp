#include "text/sentences.h"

#include <algorithm>

#include "base/error.h"
#include "text/sentence_ends.h"
#include "text/utf8.h"

namespace parley::text {

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

size_t leading_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

std::string_view without_final_space(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// --- cut_to_limit ---

// Where `text` may be cut: after clauses, words, or code points.
enum class Boundary { kClause, kWord, kCodePoint };

// Whether text[0, at) ends a clause or a word: cuts are made after the white space.
bool is_boundary(std::string_view text, size_t at, Boundary boundary) {
  if (at == text.size()) return true;
  if (boundary == Boundary::kCodePoint) return true;
  if (!is_space(text[at - 1]) || is_space(text[at])) return false;
  if (boundary == Boundary::kWord) return true;
  size_t end = at;
  while (end > 0 && is_space(text[end - 1])) --end;
  const std::string_view clause = text.substr(0, end);
  static constexpr std::string_view kEnds[] = {",", ";",   ":",  ".", "!",  "?",  "-",  "–", "—",
                                               ")", ",\"", ",”", "…", "，", "、", "；", "："};
  return std::ranges::any_of(kEnds, [&](std::string_view e) { return clause.ends_with(e); });
}

// The next boundary after `at`.
size_t next_boundary(std::string_view text, size_t at, Boundary boundary) {
  do {
    at += first_code_point(text.substr(at)).length;
  } while (!is_boundary(text, at, boundary));
  return at;
}

// The longest beginning of `text` that fits and ends at a boundary; 0 for none. Looks not much
// further than what fits.
size_t longest_fit(std::string_view text, size_t limit, const SizeOf& size_of, Boundary boundary) {
  const auto size = [&](size_t at) { return size_of(without_final_space(text.substr(0, at))); };
  std::vector<size_t> boundaries;  // not yet known to fit
  size_t fits = 0;
  // Ever larger steps ahead until one is too long, then bisection.
  for (size_t step = 1, at = 0; at < text.size(); step *= 2) {
    boundaries.clear();
    for (size_t i = 0; i < step && at < text.size(); ++i) {
      boundaries.push_back(at = next_boundary(text, at, boundary));
      if (boundary != Boundary::kCodePoint && at - fits > 4 * limit + 64) break;
    }
    if (size(at) > limit) break;
    fits = at;
    boundaries.clear();
  }
  const auto found =
      std::ranges::partition_point(boundaries, [&](size_t at) { return size(at) <= limit; });
  return found == boundaries.begin() ? fits : *(found - 1);
}

}  // namespace

std::vector<std::string_view> cut_to_limit(std::string_view text, size_t limit,
                                           const SizeOf& size_of) {
  std::vector<std::string_view> pieces;
  if (!text.empty() && size_of(without_final_space(text)) <= limit) return {text};
  while (!text.empty()) {
    size_t length = 0;
    for (const Boundary boundary : {Boundary::kClause, Boundary::kWord, Boundary::kCodePoint}) {
      length = longest_fit(text, limit, size_of, boundary);
      if (length > 0) break;
    }
    if (length == 0) length = first_code_point(text).length;
    pieces.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return pieces;
}

// --- SentenceStream ---

std::string Sentence::text() const { return replace_invalid_utf8(bytes); }

SentenceStream::SentenceStream(size_t max_bytes) : max_bytes_(max_bytes) {
  if (max_bytes < 4) throw Error("sentences", "max_bytes must be at least 4");
}

void SentenceStream::push(std::string_view bytes) {
  if (finished_) throw Error("sentences", "text was added after its end");
  // What was returned is dropped only when it is most of what is held.
  if (begin_ > held_.size() / 2) {
    held_.erase(0, begin_);
    offset_ += begin_;
    begin_ = 0;
  }
  held_ += bytes;
}

Sentence SentenceStream::take(size_t length, bool ends_sentence, bool ends_paragraph) {
  Sentence sentence;
  const std::string_view whole = rest().substr(0, length);
  sentence.bytes = without_final_space(whole);
  sentence.source = {offset_ + begin_, offset_ + begin_ + sentence.bytes.size()};
  sentence.ends_sentence = ends_sentence;
  sentence.ends_paragraph = ends_paragraph;
  begin_ += length;
  scanned_ = 0;
  return sentence;
}

std::optional<Sentence> SentenceStream::next() {
  if (scanned_ == 0) begin_ += leading_space(rest());
  const std::string_view text = rest();
  while (scanned_ < std::min(text.size(), max_bytes_)) {
    const SentenceEnd end = sentence_end(text, scanned_, finished_);
    if (end.decision == SentenceEnd::kUndecided) return std::nullopt;
    if (end.decision == SentenceEnd::kEnds) {
      if (end.at > max_bytes_) break;
      return take(end.at, true, end.ends_paragraph);
    }
    scanned_ = end.at;
  }
  if (text.size() > max_bytes_) {
    const auto bytes = [](std::string_view piece) { return piece.size(); };
    const size_t length = cut_to_limit(text.substr(0, max_bytes_ + 1), max_bytes_, bytes)[0].size();
    return take(length, false, false);
  }
  if (!finished_ || text.empty()) return std::nullopt;
  return take(text.size(), true, true);
}

std::vector<Sentence> split_sentences(std::string_view text, size_t max_bytes) {
  SentenceStream stream(max_bytes);
  stream.push(text);
  stream.finish();
  std::vector<Sentence> sentences;
  while (auto sentence = stream.next()) sentences.push_back(std::move(*sentence));
  return sentences;
}

}  // namespace parley::text
