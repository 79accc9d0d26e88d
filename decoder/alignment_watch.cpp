#include "decoder/alignment_watch.h"

#include <algorithm>

namespace parley::decoder {

Alignment AlignmentWatch::observe(std::span<const float> attention) {
  const int64_t focus = std::max_element(attention.begin(), attention.end()) - attention.begin();
  const int64_t before = reached();
  const bool within = focus >= before - kReach && focus <= before + kReach;
  astray_ = within ? 0 : astray_ + 1;
  const int64_t now = within ? std::max(before, focus) : before;
  stayed_ = now > before ? 0 : stayed_ + 1;
  reached_.push_back(now);
  if (astray_ >= kPatience) return Alignment::kLeaped;
  if (stayed_ < kStay) return Alignment::kFine;
  return now + kTail >= tokens_ ? Alignment::kRanAway : Alignment::kStuck;
}

Alignment AlignmentWatch::end() const {
  return reached() + kTail + 1 >= tokens_ ? Alignment::kFine : Alignment::kEndedEarly;
}

void AlignmentWatch::rewind(int64_t steps) {
  reached_.resize(static_cast<size_t>(std::min(steps, this->steps())));
  astray_ = 0;
  stayed_ = 0;
}

const char* describe(Alignment alignment) {
  switch (alignment) {
    case Alignment::kFine:
      return "";
    case Alignment::kLeaped:
      return "text may be skipped or repeated";
    case Alignment::kStuck:
      return "a sound was held too long";
    case Alignment::kRanAway:
      return "speech did not end with the text";
    case Alignment::kEndedEarly:
      return "speech ended before the text";
  }
  return "";
}

}  // namespace parley::decoder
