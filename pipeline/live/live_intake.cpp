#include "parley/pipeline/live/live_intake.h"

#include <algorithm>
#include <utility>

namespace parley::pipeline {

LiveIntake::LiveIntake(int64_t capacity, Overflow overflow)
    : capacity_(std::max<int64_t>(1, capacity)), overflow_(overflow) {}

bool LiveIntake::push(std::span<const float> samples) {
  const auto arrived = Clock::now();
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), static_cast<size_t>(capacity_));
    const auto part = samples.first(count);
    if (!add({Kind::kSamples, {part.begin(), part.end()}, static_cast<int64_t>(count), arrived}))
      return false;
    samples = samples.subspan(count);
  }
  return true;
}

bool LiveIntake::push_paused(int64_t count) {
  return add({Kind::kPaused, {}, count, Clock::now()});
}

bool LiveIntake::push_missed(int64_t count) {
  return add({Kind::kDropped, {}, count, Clock::now()});
}

bool LiveIntake::flush() { return add({Kind::kFlush, {}, 0, Clock::now()}); }

bool LiveIntake::add(Piece piece) {
  std::unique_lock lock(mutex_);
  if (piece.kind == Kind::kSamples) {
    if (overflow_ == Overflow::kBlock) {
      changed_.wait(lock, [&] { return waiting_ + piece.count <= capacity_ || closed_; });
    } else {
      drop_oldest(waiting_ + piece.count - capacity_);
    }
    waiting_ += piece.count;
  }
  if (closed_) return false;
  position_ += piece.count;
  const bool repeats = !pieces_.empty() && pieces_.back().kind == piece.kind;
  if (repeats && piece.kind != Kind::kSamples) {
    pieces_.back().count += piece.count;  // nothing but its length and its time matters
    pieces_.back().arrived = piece.arrived;
  } else {
    pieces_.push_back(std::move(piece));
  }
  changed_.notify_all();
  return true;
}

// Turns the oldest samples into gaps of the same length. What has become a gap stays where it was,
// joined to the gap before it.
void LiveIntake::drop_oldest(int64_t excess) {
  for (size_t i = 0; i < pieces_.size() && excess > 0; ++i) {
    if (pieces_[i].kind != Kind::kSamples) continue;
    waiting_ -= pieces_[i].count;
    excess -= pieces_[i].count;
    if (i > 0 && pieces_[i - 1].kind == Kind::kDropped) {
      pieces_[i - 1].count += pieces_[i].count;
      pieces_[i - 1].arrived = pieces_[i].arrived;
      pieces_.erase(pieces_.begin() + static_cast<int64_t>(i--));
    } else {
      pieces_[i].kind = Kind::kDropped;
      pieces_[i].samples = {};
    }
  }
}

void LiveIntake::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

void LiveIntake::abort() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  pieces_.clear();
  waiting_ = 0;
  changed_.notify_all();
}

int64_t LiveIntake::position() {
  const std::lock_guard lock(mutex_);
  return position_;
}

std::optional<LiveIntake::Piece> LiveIntake::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pieces_.empty() || closed_; });
  if (pieces_.empty()) return std::nullopt;
  Piece piece = std::move(pieces_.front());
  pieces_.pop_front();
  if (piece.kind == Kind::kSamples) waiting_ -= piece.count;
  changed_.notify_all();
  return piece;
}

}  // namespace parley::pipeline
