#include "parley/decoder/alignment_watch.h"

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
  focus_.push_back(focus);
  if (astray_ >= kPatience) return Alignment::kLeaped;
  if (stayed_ < kStay) return skipped_a_word(false) ? Alignment::kLeaped : Alignment::kFine;
  return now + kTail >= tokens_ ? Alignment::kRanAway : Alignment::kStuck;
}

bool AlignmentWatch::is_over(size_t word) const {
  if (word >= words_.size() || reached() <= words_[word]) return false;
  return steps() - steps_to(words_[word] + 1) >= kSettled;
}

bool AlignmentWatch::skipped_a_word(bool all) {
  if (words_.empty()) return false;
  for (; looked_at_ <= words_.size() && (all || is_over(looked_at_)); ++looked_at_) {
    const int64_t begin = word_begin(looked_at_);
    const int64_t end = looked_at_ < words_.size() ? words_[looked_at_] : tokens_ - 1;
    const int64_t letters = end - begin - 1;  // without the blank before it
    const auto steps =
        std::ranges::count_if(focus_, [&](int64_t focus) { return focus >= begin && focus < end; });
    if (steps > (letters < kShortWord ? 0 : letters) || letters < 2) continue;
    good_words_ = steps_to(begin + 1);
    return true;
  }
  return false;
}

Alignment AlignmentWatch::end() {
  if (skipped_a_word(true)) return Alignment::kLeaped;
  return reached() + kTail + 1 >= tokens_ ? Alignment::kFine : Alignment::kEndedEarly;
}

void AlignmentWatch::rewind(int64_t steps) {
  reached_.resize(static_cast<size_t>(std::min(steps, this->steps())));
  focus_.resize(reached_.size());
  good_words_ = std::numeric_limits<int64_t>::max();
  for (looked_at_ = 0; is_over(looked_at_);) ++looked_at_;
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
