#include "parley/dsp/window_planner.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "parley/core/base/error.h"
#include "parley/dsp/audio_reader.h"

namespace parley::dsp {

namespace {

constexpr int64_t kLookBack = 10 * kSampleRate;        // where a full window may be cut
constexpr int64_t kMinSilence = 3 * kSampleRate / 10;  // that is worth a cut
constexpr int64_t kOverlap = 5 * kSampleRate;

int64_t to_samples(const char* option, double seconds) {
  if (!(seconds >= 0 && seconds <= 3600)) {
    throw Error(option, "cannot be " + std::to_string(seconds) + " s", "give 0 to 3600");
  }
  return std::llround(seconds * kSampleRate);
}

}  // namespace

std::string_view name_of(WindowEnd end) {
  switch (end) {
    case WindowEnd::kEndpoint:
      return "endpoint";
    case WindowEnd::kSilence:
      return "silence";
    case WindowEnd::kFull:
      return "full";
    case WindowEnd::kEndOfInput:
      return "end_of_input";
  }
  return "";
}

WindowPlanner::WindowPlanner(const PlannerOptions& options)
    : endpoint_silence_(to_samples("endpoint silence", options.endpoint_silence)),
      padding_(to_samples("padding", options.padding)) {}

void WindowPlanner::advance(bool speech, int64_t end) {
  if (end < position_) throw Error("window planner", "cannot go back in the stream");
  if (speech) {
    hear_speech(end);
  } else {
    hear_silence(end);
  }
}

void WindowPlanner::hear_speech(int64_t end) {
  while (position_ < end) {
    if (open_) consider({speech_end_, position_});
    if (open_ && position_ == limit()) close_full();
    if (!open_) open_at_speech();
    position_ = speech_end_ = std::min(end, limit());
  }
}

void WindowPlanner::hear_silence(int64_t end) {
  while (open_) {
    const int64_t endpoint = speech_end_ + endpoint_silence_;
    if (endpoint <= std::min(end, limit())) {
      close(std::min(speech_end_ + padding_, endpoint), WindowEnd::kEndpoint);
    } else if (end > limit()) {
      consider({speech_end_, limit()});
      close_full();  // and perhaps opens the next, for the speech behind the cut
    } else {
      break;
    }
  }
  position_ = std::max(position_, end);
}

void WindowPlanner::finish() {
  if (open_) close(std::min(speech_end_ + padding_, position_), WindowEnd::kEndOfInput);
  overlap_next_ = false;
  skip_to(position_);
}

// Remembers a silence of the open window if it is the longest so far in the part where a full
// window may be cut.
void WindowPlanner::consider(Silence silence) {
  silence.start = std::max(silence.start, limit() - kLookBack);
  if (silence.length() > 0 && silence.length() >= longest_.length()) longest_ = silence;
}

// The window has its 30 s and the stream goes on.
void WindowPlanner::close_full() {
  if (longest_.length() < kMinSilence) {
    overlap_next_ = true;
    return close(limit(), WindowEnd::kFull);
  }
  const Silence cut = longest_;
  const bool speech_follows = cut.end < limit();
  close(cut.start + cut.length() / 2, WindowEnd::kSilence);
  if (speech_follows) open(std::max(covered_, cut.end - padding_), false);
}

// Speech goes on at position_, and no window is open.
void WindowPlanner::open_at_speech() {
  const bool cut_in_speech = next_may_overlap();
  overlap_next_ = false;
  if (cut_in_speech) {
    open(covered_ - kOverlap, true);
  } else {
    open(std::max(covered_, position_ - padding_), false);
  }
}

void WindowPlanner::open(int64_t start, bool overlaps) {
  skip_to(start);
  window_ = {.start = start, .end = start, .overlaps_previous = overlaps};
  longest_ = {};
  open_ = true;
}

void WindowPlanner::close(int64_t end, WindowEnd reason) {
  window_.end = end;
  window_.reason = reason;
  windows_.push_back(window_);
  covered_ = end;
  open_ = false;
}

void WindowPlanner::skip_to(int64_t start) {
  if (start <= covered_) return;
  skipped_.push_back({covered_, start});
  covered_ = start;
}

std::optional<Window> WindowPlanner::next_window() {
  if (windows_.empty()) return std::nullopt;
  const Window window = windows_.front();
  windows_.pop_front();
  return window;
}

std::optional<Span> WindowPlanner::next_skipped() {
  if (skipped_.empty()) return std::nullopt;
  const Span skipped = skipped_.front();
  skipped_.pop_front();
  return skipped;
}

std::optional<int64_t> WindowPlanner::open_window() const {
  return open_ ? std::optional(window_.start) : std::nullopt;
}

bool WindowPlanner::next_may_overlap() const {
  return overlap_next_ && position_ - speech_end_ < kMinSilence;
}

int64_t WindowPlanner::needed_from() const {
  if (open_) return window_.start;
  if (next_may_overlap()) return covered_ - kOverlap;
  return std::max(covered_, position_ - padding_);
}

}  // namespace parley::dsp
