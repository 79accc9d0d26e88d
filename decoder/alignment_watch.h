// Whether speech follows its text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace parley::decoder {

enum class Alignment { kFine, kLeaped, kStuck, kRanAway, kEndedEarly };

// Watches where the alignment heads attend, step by step. Speech moves through the text by about
// half a character a step. It has gone astray when it attends for some steps far ahead of what was
// reached (text skipped) or far behind (text repeated), when it stays (a sound without end), also
// at the end of the text (running away), or when it ends before the text does.
class AlignmentWatch {
 public:
  static constexpr int64_t kReach = 12;    // characters ahead of or behind what was reached
  static constexpr int64_t kPatience = 6;  // steps beyond that reach
  static constexpr int64_t kStay = 48;     // steps without progress: 1.5 s of SpeechT5's speech
  static constexpr int64_t kTail = 6;      // characters at the end that need not be attended to

  static constexpr int64_t kShortWord = 4;  // letters: shorter ones may take a step
  static constexpr int64_t kSettled = 4;    // steps after which nothing more is said of a word

  // words: where words begin after the first, ascending; without them it is not seen that one was
  // skipped among others.
  explicit AlignmentWatch(int64_t tokens = 0, std::vector<int64_t> words = {})
      : tokens_(tokens), words_(std::move(words)) {}

  // One more step.  attention: [tokens].
  Alignment observe(std::span<const float> attention);
  // What an end after the steps so far would be.
  Alignment end();

  int64_t steps() const { return static_cast<int64_t>(reached_.size()); }
  // The steps before speech went astray or stayed for too long, or all of them.
  int64_t good_steps() const {
    return std::min(good_words_, steps() - std::max(astray_, stayed_ < kStay ? 0 : stayed_));
  }
  // The steps until the last one that came further.
  int64_t progress() const { return steps() - stayed_; }
  // The furthest character that the first `steps` steps reached.
  int64_t reached_after(int64_t steps) const {
    return steps == 0 ? 0 : reached_[static_cast<size_t>(steps - 1)];
  }
  // The steps before `character` was reached.
  int64_t steps_to(int64_t character) const {
    return std::ranges::lower_bound(reached_, character) - reached_.begin();
  }
  // Forgets what came after the first `steps` steps, and for how long it had stayed.
  void rewind(int64_t steps);

 private:
  int64_t reached() const { return reached_.empty() ? 0 : reached_.back(); }
  int64_t word_begin(size_t word) const { return word == 0 ? 0 : words_[word - 1]; }
  // Whether the word after the first `word` ones is over.
  bool is_over(size_t word) const;
  // Looks at the words that are over, or at all; true when one got fewer steps than it has letters,
  // where two a letter are usual.
  bool skipped_a_word(bool all);

  int64_t tokens_;
  std::vector<int64_t> words_;
  std::vector<int64_t> focus_;    // of each step
  std::vector<int64_t> reached_;  // by each step: the furthest character
  size_t looked_at_ = 0;          // words
  int64_t good_words_ = std::numeric_limits<int64_t>::max();  // steps before a word was skipped
  int64_t astray_ = 0;                                        // last steps out of reach
  int64_t stayed_ = 0;                                        // last steps without progress
};

const char* describe(Alignment alignment);

}  // namespace parley::decoder
