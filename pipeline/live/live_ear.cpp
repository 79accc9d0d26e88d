#include "parley/pipeline/live/live_ear.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parley/core/base/stopwatch.h"
#include "parley/pipeline/stt/speech_model.h"

namespace parley::pipeline {

namespace {

constexpr int64_t kMinPartial = 3 * dsp::kSampleRate / 10;  // samples of a window worth a text

double seconds(int64_t samples) { return static_cast<double>(samples) / dsp::kSampleRate; }

}  // namespace

LiveEar::LiveEar(const SpeechModel& model, const LiveOptions& options, LiveIntake& intake,
                 BoundedQueue<LiveTask>& tasks, std::function<void(LiveEvent)> tell)
    : options_(options),
      intake_(intake),
      tasks_(tasks),
      tell_(std::move(tell)),
      cutter_(model.log_mel, model.encoder.frames(), options.transcribe,
              options.front_end.has_value()) {
  if (options.front_end) front_end_.emplace(*options.front_end);
}

void LiveEar::run() {
  while (auto piece = intake_.take()) {
    arrived_ = piece->arrived;
    switch (piece->kind) {
      case LiveIntake::Kind::kSamples:
        hear(piece->samples);
        break;
      case LiveIntake::Kind::kPaused:
        hear_silence(piece->count);
        break;
      case LiveIntake::Kind::kDropped: {
        const int64_t start = cutter_.position() + static_cast<int64_t>(filled_);
        tell_({.kind = LiveEventKind::kOverrun,
               .start = seconds(start),
               .end = seconds(start + piece->count)});
        hear_silence(piece->count);
        break;
      }
      case LiveIntake::Kind::kFlush:
        flush_wanted_ = true;
        flush_at_frame_end();
        break;
    }
  }
  if (filled_ > 0) hear_frame(std::span(frame_).first(std::exchange(filled_, 0)));
  end_utterance();
}

void LiveEar::hear(std::span<const float> samples) {
  while (!samples.empty()) {
    const size_t count = std::min(samples.size(), kFrame - filled_);
    std::copy_n(samples.begin(), count, frame_.begin() + static_cast<ptrdiff_t>(filled_));
    filled_ += count;
    samples = samples.subspan(count);
    if (filled_ < kFrame) return;
    filled_ = 0;
    hear_frame(frame_);
  }
}

void LiveEar::hear_silence(int64_t count) {
  static constexpr Frame kSilence{};
  for (; count > 0; count -= static_cast<int64_t>(kFrame))
    hear(std::span(kSilence).first(std::min(kFrame, static_cast<size_t>(count))));
}

// A frame is shorter than 10 ms only at the end of the stream.
void LiveEar::hear_frame(std::span<float> frame) {
  {
    const Stopwatch watch(vad_seconds_);
    if (front_end_) {
      hear_played();
      std::fill(frame_.begin() + static_cast<ptrdiff_t>(frame.size()), frame_.end(), 0.f);
      front_end_->process(frame_);
    }
    cutter_.push(frame);
  }
  hand_on();
  flush_at_frame_end();
}

// Detectors decide by frames, Silero's by 32 ms: an utterance ends between two of them.
void LiveEar::flush_at_frame_end() {
  if (!flush_wanted_ || !cutter_.at_frame_end()) return;
  flush_wanted_ = false;
  end_utterance();
}

// What was played when the next frame was recorded.
void LiveEar::hear_played() {
  if (!options_.front_end->echo_cancellation) return;
  Frame frame;
  {
    const std::lock_guard lock(played_mutex_);
    played_.take(cutter_.position(), frame);
  }
  front_end_->played(frame);
}

void LiveEar::played(std::span<const float> samples) {
  if (!options_.front_end || !options_.front_end->echo_cancellation) return;
  const int64_t now = intake_.position() + std::llround(options_.echo_delay * dsp::kSampleRate);
  const std::lock_guard lock(played_mutex_);
  played_.push(samples, now);
}

void LiveEar::end_utterance() {
  cutter_.finish();
  hand_on();
}

void LiveEar::hand_on() {
  while (cutter_.next_skipped()) continue;  // nobody asks
  while (true) {
    std::optional<SourceWindow> window;
    {
      const Stopwatch watch(frontend_seconds_);
      window = cutter_.next();
    }
    if (!window) break;
    last_end_ = window->window.end;
    unsettled_ = window->window.reason == dsp::WindowEnd::kFull;
    follow_speech(window->window.start);
    if (!tasks_.push({LiveTask::Kind::kWindow, std::move(*window), arrived_})) return;
  }
  follow_speech(cutter_.planner().open_window());
  const dsp::WindowPlanner& planner = cutter_.planner();
  if (unsettled_ && !planner.open_window() && !planner.next_may_overlap()) {
    unsettled_ = false;
    tasks_.push({LiveTask::Kind::kSettle, {}, arrived_});
  }
  hand_on_partial();
}

// An utterance is everything from one window's start to the end of a window that no other follows
// at once. start: of the window that is open or was just closed.
void LiveEar::follow_speech(std::optional<int64_t> start) {
  const dsp::WindowPlanner& planner = cutter_.planner();
  if (start && !speech_start_) {
    speech_start_ = start;
    partial_end_ = 0;
    tell_({.kind = LiveEventKind::kSpeechStart, .start = seconds(*start), .end = seconds(*start)});
  }
  if (speech_start_ && !planner.open_window() && !planner.next_may_overlap()) {
    tell_({.kind = LiveEventKind::kSpeechEnd,
           .start = seconds(*speech_start_),
           .end = seconds(last_end_)});
    speech_start_.reset();
  }
}

// Only when the computing thread has nothing better to do: partial texts never queue up.
void LiveEar::hand_on_partial() {
  if (options_.partial_interval <= 0 || !partial_wanted_) return;
  const std::optional<int64_t> open = cutter_.planner().open_window();
  if (!open || tasks_.size() > 0) return;
  const auto interval =
      static_cast<int64_t>(std::llround(options_.partial_interval * dsp::kSampleRate));
  if (cutter_.position() < std::max(partial_end_ + interval, *open + kMinPartial)) return;
  partial_end_ = cutter_.position();
  partial_wanted_ = false;
  const Stopwatch watch(frontend_seconds_);
  tasks_.push({LiveTask::Kind::kPartial, cutter_.open_window(), arrived_});
}

}  // namespace parley::pipeline
