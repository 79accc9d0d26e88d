// The part of a live session that needs no model: finds utterances in what arrives, and hands on
// windows and the beginnings of windows. Internal to pipeline/.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "parley/core/base/bounded_queue.h"
#include "parley/dsp/voice_front_end.h"
#include "parley/pipeline/live/live_event.h"
#include "parley/pipeline/live/live_intake.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/live/played_sound.h"
#include "parley/pipeline/stt/window_cutter.h"

namespace parley::pipeline {

// What the computing thread is to do next.
struct LiveTask {
  enum class Kind {
    kWindow,   // a window is complete
    kPartial,  // a window is open: what has been heard of it
    kSettle,   // nothing that follows overlaps the last window
  };
  Kind kind = Kind::kWindow;
  SourceWindow source = {};
  LiveIntake::Clock::time_point arrived = {};  // of the audio that made the task possible
};

class LiveEar {
 public:
  // tell: may be called from this thread. Everything is kept by reference.
  LiveEar(const SpeechModel& model, const LiveOptions& options, LiveIntake& intake,
          BoundedQueue<LiveTask>& tasks, std::function<void(LiveEvent)> tell);

  // Until the intake is closed and empty, or the tasks are closed.
  void run();

  // From the computing thread: a partial text is done, the next may be asked for.
  void partial_done() { partial_wanted_ = true; }
  // From any one thread: what loudspeakers play.
  void played(std::span<const float> samples);

  // Of the newest samples heard; for `tell`.
  LiveIntake::Clock::time_point arrived() const { return arrived_; }
  double vad_seconds() const { return vad_seconds_; }  // when run() has returned
  double frontend_seconds() const { return frontend_seconds_; }
  int64_t samples() const { return cutter_.position(); }

 private:
  static constexpr size_t kFrame = dsp::VoiceFrontEnd::kFrame;
  using Frame = std::array<float, kFrame>;

  void hear(std::span<const float> samples);
  void hear_silence(int64_t count);
  void hear_frame(std::span<float> frame);
  void hear_played();
  void flush_at_frame_end();
  void end_utterance();
  void hand_on();
  void hand_on_partial();
  void follow_speech(std::optional<int64_t> start);

  const LiveOptions& options_;
  LiveIntake& intake_;
  BoundedQueue<LiveTask>& tasks_;
  std::function<void(LiveEvent)> tell_;
  WindowCutter cutter_;
  std::optional<dsp::VoiceFrontEnd> front_end_;
  Frame frame_{};  // not complete yet
  size_t filled_ = 0;
  LiveIntake::Clock::time_point arrived_;  // of the newest samples heard
  std::optional<int64_t> speech_start_;    // of the utterance that is open
  int64_t last_end_ = 0;                   // of the last window
  bool flush_wanted_ = false;
  bool unsettled_ = false;   // the next window may overlap the last
  int64_t partial_end_ = 0;  // samples seen by the last partial text
  std::atomic<bool> partial_wanted_ = true;
  std::mutex played_mutex_;
  PlayedSound played_;
  double vad_seconds_ = 0;
  double frontend_seconds_ = 0;
};

}  // namespace parley::pipeline
