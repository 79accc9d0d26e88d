// Where live audio waits for the session that hears it: bounded, and nothing gets lost silently.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace parley::pipeline {

// What happens to audio for which there is no room.
enum class Overflow {
  kBlock,       // who brings it waits
  kDropOldest,  // the oldest that waits makes room, and is counted
};

// One thread brings audio, another takes it.
class LiveIntake {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Kind {
    kSamples,
    kPaused,   // audio that was not to be heard
    kDropped,  // audio that got lost, for there was no room
    kFlush,    // the utterance ends here
  };
  struct Piece {
    Kind kind = Kind::kSamples;
    std::vector<float> samples = {};  // kSamples
    int64_t count = 0;                // of samples; kFlush: 0
    Clock::time_point arrived = {};
  };

  // capacity: samples that wait at most.
  LiveIntake(int64_t capacity, Overflow overflow);

  // False: closed, nothing is taken any more.
  bool push(std::span<const float> samples);
  bool push_paused(int64_t count);
  bool push_missed(int64_t count);  // a gap that is there already
  bool flush();
  // No more comes; what waits can still be taken.
  void close();
  // As close(), and what waits is forgotten.
  void abort();

  // Samples brought so far, gaps included: where the stream is.
  int64_t position();

  // Waits for the next piece; nothing at the end.
  std::optional<Piece> take();

 private:
  bool add(Piece piece);
  void drop_oldest(int64_t excess);

  const int64_t capacity_;
  const Overflow overflow_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> pieces_;
  int64_t waiting_ = 0;   // samples in pieces_
  int64_t position_ = 0;  // end of the last piece
  bool closed_ = false;
};

}  // namespace parley::pipeline
