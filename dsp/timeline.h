// Where decoded sound belongs, when the container says times of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parley::dsp {

// Lays frames one behind the other as their times say: where a time is later than the end of the
// frame before, silence is missing; where it is earlier, the beginning of the frame was there
// already. Times and lengths are in samples of the present rate.
//
// Times are rounded (Matroska: 1 ms) and jitter, so less than kGap or kOverlap is neither; as times
// are compared with all that was placed, what is neither does not add up. Times that cannot be true
// are not followed, but noted: one that its neighbours contradict is ignored; where the clock
// starts over (joined recordings), goes back by more than kLongestOverlap, or jumps by more than
// kLongestGap, the frame follows the one before.
class Timeline {
 public:
  static constexpr double kGap = 0.05;  // seconds
  static constexpr double kOverlap = 0.1;
  static constexpr double kLongestOverlap = 60;
  static constexpr double kLongestGap = 12 * 3600;
  static constexpr double kMostSilence = 24 * 3600;  // in all

  struct Place {
    int64_t silence = 0;  // before the frame
    int64_t cut = 0;      // from its beginning; at most its length
  };

  // What follows has another rate.
  void set_rate(int rate);
  // Samples placed so far, silence included.
  int64_t position() const { return position_; }
  double seconds() const;
  void advance(int64_t samples) { position_ += samples; }

  // Another clock begins: its 0 is here.
  void begin_clock();
  // Would a frame of this time be placed as it is? gap: seconds that are not silence yet; 0 where
  // something is known to be lost.
  bool continues(int64_t time, double gap = kGap) const;
  // Where a frame belongs. next: time of the frame behind it, which must tell the same story;
  // nothing at the end of the input.
  Place place(int64_t time, int64_t length, std::optional<int64_t> next, double gap = kGap);

  // What was not followed, for the user; bounded.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  double in_seconds(int64_t samples) const;
  int64_t late(int64_t time) const { return time - offset_ - position_; }
  Place join(int64_t time, const std::string& why);
  void note(const std::string& what);

  int rate_ = 0;
  int64_t position_ = 0;
  int64_t offset_ = 0;  // time of position 0
  int64_t silence_ = 0;
  std::optional<int64_t> first_;  // time of this clock
  bool cutting_ = false;          // an overlap, until its end to the sample
  std::vector<std::string> notes_;
};

// "83.4 s", for notes and notices.
std::string shown_seconds(double seconds);

}  // namespace parley::dsp
