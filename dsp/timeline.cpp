#include "parley/dsp/timeline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace parley::dsp {

namespace {

constexpr double kStart = 1;         // seconds from the first time: the clock starts over
constexpr double kUnconfirmed = 60;  // seconds that the last frame of an input may jump
constexpr size_t kMostNotes = 10;

int64_t rescaled(int64_t samples, int from, int to) {
  return std::llround(static_cast<double>(samples) * to / from);
}

}  // namespace

std::string shown_seconds(double seconds) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), "%.2f s", seconds);
  return text.data();
}

void Timeline::set_rate(int rate) {
  if (rate_ != 0 && rate != rate_) {
    position_ = rescaled(position_, rate_, rate);
    offset_ = rescaled(offset_, rate_, rate);
    silence_ = rescaled(silence_, rate_, rate);
    if (first_) first_ = rescaled(*first_, rate_, rate);
  }
  rate_ = rate;
}

double Timeline::in_seconds(int64_t samples) const {
  return static_cast<double>(samples) / std::max(1, rate_);
}

double Timeline::seconds() const { return in_seconds(position_); }

void Timeline::begin_clock() {
  offset_ = -position_;
  first_.reset();
  cutting_ = false;
}

bool Timeline::continues(int64_t time, double gap) const {
  const double distance = in_seconds(late(time));
  return distance <= gap && distance >= (cutting_ ? 0 : -kOverlap);
}

Timeline::Place Timeline::place(int64_t time, int64_t length, std::optional<int64_t> next,
                                double gap) {
  const bool is_first = !first_;
  if (is_first) first_ = time;
  const int64_t distance = late(time);
  if (continues(time, gap)) {
    if (is_first) offset_ += distance;  // the padding of an encoder
    cutting_ = false;
    return {};
  }
  if (is_first && distance < 0) return join(time, "");
  const bool outlier = next ? std::fabs(in_seconds(late(*next) - length)) < kGap
                            : std::fabs(in_seconds(distance)) > kUnconfirmed;
  if (outlier && !cutting_) {
    note("one time, " + shown_seconds(in_seconds(time)) +
         ", does not fit its neighbours and is ignored");
    return {};
  }
  if (distance > 0) {
    cutting_ = false;
    if (in_seconds(distance) > kLongestGap || in_seconds(silence_ + distance) > kMostSilence)
      return join(time, "jump by " + shown_seconds(in_seconds(distance)));
    silence_ += distance;
    return {.silence = distance};
  }
  if (in_seconds(time - *first_) < kStart) return join(time, "start over");
  if (in_seconds(-distance) > kLongestOverlap)
    return join(time, "go back by " + shown_seconds(in_seconds(-distance)));
  cutting_ = -distance >= length;
  return {.cut = std::min(-distance, length)};
}

// The clock is set so that the frame is placed as it is.
Timeline::Place Timeline::join(int64_t time, const std::string& why) {
  if (!why.empty()) note("the times " + why + ": what follows is joined on");
  offset_ += late(time);
  cutting_ = false;
  return {};
}

void Timeline::note(const std::string& what) {
  if (notes_.size() < kMostNotes) {
    notes_.push_back("at " + shown_seconds(seconds()) + " " + what);
  } else if (notes_.size() == kMostNotes) {
    notes_.emplace_back("further times that cannot be true were not followed either");
  }
}

}  // namespace parley::dsp
