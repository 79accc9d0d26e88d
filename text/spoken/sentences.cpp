#include "parley/text/spoken/sentences.h"

#include <algorithm>

#include "parley/core/base/error.h"
#include "parley/text/spoken/sentence_ends.h"
#include "parley/text/utf8.h"

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

// Where a piece may end, best first: after a clause, before a conjunction, at another blank; worst
// after a word that leads to the next one ("of", "the").
enum class Boundary { kClause, kConjunction, kBlank, kLeadingWord };

// How far from the middle, in pieces, a cut may be before one at a lesser boundary is preferred.
constexpr double penalty(Boundary boundary) {
  switch (boundary) {
    case Boundary::kClause:
      return 0;
    case Boundary::kConjunction:
      return 0.25;
    case Boundary::kBlank:
      return 0.4;
    case Boundary::kLeadingWord:
      return 0.6;
  }
  return 1;
}

bool in_words(std::string_view list, std::string_view word) {
  std::string key(" ");
  for (const char c : word) key += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return !word.empty() && list.find(key + ' ') != std::string_view::npos;
}

bool is_conjunction(std::string_view word) {
  return in_words(
      " and or but nor so yet because although though while when where which who whose whom that "
      "if unless until before after since as than whether however therefore instead ",
      word);
}

bool is_leading(std::string_view word) {
  return in_words(
      " a an the this that these those my your his her its our their some any no every each of to "
      "in on at by for from with into onto upon over under through between about against without "
      "and or but nor so if as than because while is are was were be been am will would can could "
      "shall should may might must do does did has have had not very too mister missus doctor ",
      word);
}

// text[at] begins a word after white space.
Boundary boundary_at(std::string_view text, size_t at) {
  const std::string_view before = without_final_space(text.substr(0, at));
  static constexpr std::string_view kEnds[] = {",", ";",   ":",  ".", "!",  "?",  "-",  "–", "—",
                                               ")", ",\"", ",”", "…", "，", "、", "；", "："};
  if (std::ranges::any_of(kEnds, [&](std::string_view e) { return before.ends_with(e); }))
    return Boundary::kClause;
  const std::string_view next =
      text.substr(at, std::min<size_t>(text.find(' ', at), text.size()) - at);
  if (is_conjunction(next)) return Boundary::kConjunction;
  const size_t blank = before.find_last_of(" \t\r\n\v\f");
  const bool leads = is_leading(before.substr(blank == std::string_view::npos ? 0 : blank + 1));
  return leads ? Boundary::kLeadingWord : Boundary::kBlank;
}

struct Cut {
  size_t at;
  double cost;
};

// Where words begin in text[low, high), each with what a cut there costs: its distance from
// `target`, in pieces of `unit` bytes, and its kind.
std::vector<Cut> cuts_between(std::string_view text, size_t low, size_t high, size_t target,
                              double unit) {
  std::vector<Cut> cuts;
  for (size_t at = std::max<size_t>(low, 1); at < high; ++at) {
    if (!is_space(text[at - 1]) || is_space(text[at])) continue;
    const double distance = static_cast<double>(at > target ? at - target : target - at);
    cuts.push_back({at, distance / unit + penalty(boundary_at(text, at))});
  }
  std::ranges::stable_sort(cuts, std::ranges::less(), &Cut::cost);
  return cuts;
}

// The longest beginning of at most `target` bytes that fits, cut between code points; at least one
// code point.
size_t longest_fit(std::string_view text, size_t target, size_t limit, const SizeOf& size_of) {
  constexpr size_t kTokenBytes = 16;  // of the longest that is looked for
  target = std::min(target, kTokenBytes * limit);
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size();) {
    at += first_code_point(text.substr(at)).length;
    if (at > target && !ends.empty()) break;
    ends.push_back(at);
  }
  const auto found = std::ranges::partition_point(
      ends, [&](size_t at) { return size_of(text.substr(0, at)) <= limit; });
  return found == ends.begin() ? ends.front() : *(found - 1);
}

// One cut that leaves pieces of about the same size on both sides: text of `count` pieces, or a
// few more where words leave no such place.
size_t balanced_cut(std::string_view text, size_t limit, const SizeOf& size_of) {
  const size_t size = size_of(without_final_space(text));
  const size_t fewest = std::max<size_t>(2, (size + limit - 1) / limit);
  for (size_t count = fewest; count <= 2 * fewest; ++count) {
    const size_t left = count / 2;
    const double unit = static_cast<double>(text.size()) / static_cast<double>(count);
    const auto target = static_cast<size_t>(unit * static_cast<double>(left));
    const size_t reach = static_cast<size_t>(unit) + 1;
    for (const Cut& cut : cuts_between(text, target > reach ? target - reach : 0,
                                       std::min(text.size(), target + reach), target, unit)) {
      if (size_of(without_final_space(text.substr(0, cut.at))) <= left * limit &&
          size_of(without_final_space(text.substr(cut.at))) <= (count - left) * limit) {
        return cut.at;
      }
    }
  }
  return 0;
}

void cut_into(std::vector<std::string_view>& pieces, std::string_view text, size_t limit,
              const SizeOf& size_of) {
  while (!text.empty() && size_of(without_final_space(text)) > limit) {
    size_t cut = balanced_cut(text, limit, size_of);
    if (cut == 0) {  // a word that is too long: alone, or after and before others
      const auto ends = cuts_between(text, 1, text.size(), 0, 1);
      cut = ends.empty() ? text.size() : ends.front().at;
      if (size_of(without_final_space(text.substr(0, cut))) > limit)
        cut = longest_fit(text, cut, limit, size_of);
    }
    if (cut >= text.size()) break;
    cut_into(pieces, text.substr(0, cut), limit, size_of);
    text.remove_prefix(cut);
  }
  if (!text.empty()) pieces.push_back(text);
}

}  // namespace

std::vector<std::string_view> cut_to_limit(std::string_view text, size_t limit,
                                           const SizeOf& size_of) {
  std::vector<std::string_view> pieces;
  cut_into(pieces, text, limit, size_of);
  return pieces;
}

std::vector<std::string_view> halves(std::string_view text) {
  const auto cuts = cuts_between(text, 1, text.size(), text.size() / 2,
                                 std::max(1.0, static_cast<double>(text.size()) / 2));
  if (cuts.empty()) return {text};
  return {text.substr(0, cuts.front().at), text.substr(cuts.front().at)};
}

// --- SentenceStream ---

std::string Sentence::text() const { return replace_invalid_utf8(bytes); }

SentenceStream::SentenceStream(size_t max_bytes) : max_bytes_(max_bytes) {
  if (max_bytes < 4) throw Error("sentences", "max_bytes must be at least 4");
}

void SentenceStream::push(std::string_view bytes) {
  if (finished_) throw Error("sentences", "text was added after its end");
  paused_ = false;
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

void SentenceStream::pause(Pause pause) {
  paused_ = paused_ || pause == Pause::kLong || ends_line_and_sentence(rest());
}

std::optional<Sentence> SentenceStream::next() {
  if (scanned_ == 0) begin_ += leading_space(rest());
  const std::string_view text = rest();
  while (scanned_ < std::min(text.size(), max_bytes_)) {
    const SentenceEnd end = sentence_end(text, scanned_, finished_ || paused_);
    if (end.decision == SentenceEnd::kUndecided) return std::nullopt;
    if (end.decision == SentenceEnd::kEnds) {
      if (end.at > max_bytes_) break;
      const bool last = text.find_first_not_of(" \t\r\n\v\f", end.at) == std::string_view::npos;
      return take(end.at, true, end.ends_paragraph && !(paused_ && last));
    }
    scanned_ = end.at;
  }
  if (text.size() > max_bytes_) {
    const std::string_view head = text.substr(0, max_bytes_ + 1);
    const auto cuts =
        cuts_between(head, 1, head.size(), max_bytes_, static_cast<double>(max_bytes_));
    const auto bytes = [](std::string_view piece) { return piece.size(); };
    return take(cuts.empty() ? longest_fit(head, max_bytes_, max_bytes_, bytes) : cuts.front().at,
                false, false);
  }
  if (!(finished_ || paused_) || text.empty()) return std::nullopt;
  return take(text.size(), true, finished_);
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
