#include "parley/pipeline/output/subtitles.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "parley/pipeline/output/writer_text.h"
#include "parley/text/line_breaks.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kLongPause = 3.0;  // seconds

// What a line is made of: the segment's words, else the parts of its text between which a line may
// be broken, each with the spaces before it.
std::vector<CueWord> words_of(const Segment& segment, text::LineBreaker& breaker) {
  std::vector<CueWord> words;
  for (const Word& word : segment.words) {
    std::string text = printable(word.word);
    if (!text::strip(text).empty()) words.push_back({std::move(text), word.start, word.end});
  }
  if (!words.empty()) return words;
  const std::string line = one_line(segment.text);
  size_t at = 0;
  for (const size_t place : breaker.breaks(line)) {
    const size_t space = line.find_last_not_of(' ', place - 1) + 1;
    if (space <= at) continue;  // spaces alone
    const auto time = [&](size_t byte) {
      return segment.start + (segment.end - segment.start) * static_cast<double>(byte) /
                                 static_cast<double>(line.size());
    };
    words.push_back({line.substr(at, space - at), time(at), time(space)});
    at = space;
  }
  return words;
}

// Lays words out in lines and cues.
class Layout {
 public:
  Layout(const SubtitleRules& rules, double start) : rules_(rules), last_(start) {}

  void add(CueWord word, bool first_of_segment) {
    const bool keep_segments = rules_.max_line_count == 0 || rules_.max_line_width == 0;
    const bool pause = !keep_segments && word.start - last_ > kLongPause;
    const bool new_segment = first_of_segment && keep_segments && !cue_.empty();
    const bool too_long =
        rules_.max_cue > 0 && !cue_.empty() && word.end - cue_.front().start > rules_.max_cue;
    const size_t width = rules_.max_line_width > 0 ? static_cast<size_t>(rules_.max_line_width)
                                                   : std::numeric_limits<size_t>::max();
    last_ = word.start;
    if (used_ > 0 && used_ + text::line_length(word.text) <= width && !pause && !new_segment &&
        !too_long) {
      used_ += text::line_length(word.text);
      cue_.push_back(std::move(word));
      return;
    }
    word.text = std::string(text::strip(word.text));
    const bool full = rules_.max_line_count > 0 && (pause || lines_ >= rules_.max_line_count);
    const size_t length = text::line_length(word.text);
    if (!cue_.empty() && (full || new_segment || too_long)) {
      finish();
    } else if (used_ > 0) {
      ++lines_;
      word.text.insert(word.text.begin(), '\n');
    }
    used_ = length;
    cue_.push_back(std::move(word));
  }

  std::vector<Cue> take() {
    finish();
    return std::move(cues_);
  }

 private:
  void finish() {
    if (!cue_.empty())
      cues_.push_back({cue_.front().start, cue_.back().end, std::exchange(cue_, {})});
    lines_ = 1;
    used_ = 0;
  }

  const SubtitleRules& rules_;
  double last_;      // start of the last word
  size_t used_ = 0;  // characters in the current line
  int lines_ = 1;
  std::vector<CueWord> cue_;
  std::vector<Cue> cues_;
};

// "-->" would be taken for the cue's times: of its dashes only the first stays.
void break_arrows(Cue& cue) {
  std::vector<std::pair<std::string*, size_t>> dashes;  // of the run that ends here
  for (CueWord& word : cue.words) {
    for (size_t i = 0; i < word.text.size(); ++i) {
      const char c = word.text[i];
      if (c == '-') {
        dashes.emplace_back(&word.text, i);
        continue;
      }
      while (c == '>' && dashes.size() > 1) {
        const auto [text, at] = dashes.back();
        text->erase(at, 1);
        if (text == &word.text) --i;
        dashes.pop_back();
      }
      dashes.clear();
    }
  }
}

}  // namespace

std::vector<Cue> make_cues(const Transcript& transcript, const SubtitleRules& rules) {
  Layout layout(rules, transcript.segments.empty() ? 0 : transcript.segments[0].start);
  text::LineBreaker breaker;
  for (const Segment& segment : transcript.segments) {
    bool first = true;
    for (CueWord& word : words_of(segment, breaker))
      layout.add(std::move(word), std::exchange(first, false));
  }
  std::vector<Cue> cues = layout.take();
  for (size_t i = 0; i < cues.size(); ++i) {
    const double next =
        i + 1 < cues.size() ? cues[i + 1].start : std::numeric_limits<double>::infinity();
    cues[i].end = std::max(cues[i].end, std::min(cues[i].start + rules.min_cue, next));
    break_arrows(cues[i]);
  }
  return cues;
}

}  // namespace parley::pipeline
