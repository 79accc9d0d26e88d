#include "parley/pipeline/live/live_session.h"

#include <atomic>
#include <cmath>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"
#include "parley/pipeline/live/live_ear.h"
#include "parley/pipeline/live/live_partials.h"
#include "parley/pipeline/stt/windowed_transcript.h"

namespace parley::pipeline {

std::string_view name_of(LiveEventKind kind) {
  switch (kind) {
    case LiveEventKind::kSpeechStart:
      return "speech_start";
    case LiveEventKind::kPartial:
      return "partial";
    case LiveEventKind::kFinal:
      return "final";
    case LiveEventKind::kSpeechEnd:
      return "speech_end";
    case LiveEventKind::kOverrun:
      return "overrun";
  }
  return "";
}

namespace {

using Clock = LiveIntake::Clock;

const LiveOptions& checked(const LiveOptions& options) {
  check_options(options.transcribe);
  if (options.transcribe.strategy != Strategy::kWindows)
    throw Error("live", "the sequential strategy hears whole recordings", "use windows");
  if (!(options.queue_seconds > 0 && options.queue_seconds <= 3600))
    throw Error("queue", "cannot hold " + std::to_string(options.queue_seconds) + " s",
                "give at most 3600");
  if (!(options.partial_interval >= 0 && options.partial_interval <= 3600))
    throw Error("partial interval", "cannot be " + std::to_string(options.partial_interval) + " s",
                "give 0 to 3600");
  if (!(options.echo_delay >= 0 && options.echo_delay <= 10))
    throw Error("echo delay", "cannot be " + std::to_string(options.echo_delay) + " s",
                "give 0 to 10");
  return options;
}

}  // namespace

class LiveSession::Work {
 public:
  Work(std::shared_ptr<SpeechEngine> engine, const LiveOptions& options, OnEvent on_event)
      : engine_(std::move(engine)),
        model_(engine_->shared_model()),
        options_(checked(options)),
        on_event_(std::move(on_event)),
        intake_(std::llround(options.queue_seconds * dsp::kSampleRate), options.overflow),
        ear_(*model_, options_, intake_, tasks_,
             [this](LiveEvent event) { tell(std::move(event), ear_.arrived()); }),
        events_({.segment = [this](const Segment& segment) { final_.push_back(segment); },
                 .window = [this](double start, double end) { tell_final(start, end); }}),
        policy_(*model_, options_.transcribe),
        text_(*model_, options_.transcribe, events_, policy_),
        listener_(*engine_, Urgency::kLive, stop_.get_token()),
        partials_(*model_, options_.transcribe) {
    ear_thread_ =
        std::jthread([this] { guard([this] { ear_.run(); }, [this] { tasks_.close(); }); });
    computing_thread_ = std::jthread([this] { guard([this] { compute(); }, [this] { abort(); }); });
  }

  ~Work() { cancel(); }

  bool push(std::span<const float> samples) {
    return paused_ ? intake_.push_paused(static_cast<int64_t>(samples.size()))
                   : intake_.push(samples);
  }
  void missed(int64_t samples) { intake_.push_missed(samples); }
  void played(std::span<const float> samples) { ear_.played(samples); }
  void flush() { intake_.flush(); }
  void pause(bool paused) {
    if (paused && !paused_.exchange(true)) intake_.flush();
    if (!paused) paused_ = false;
  }

  void finish() {
    intake_.close();
    if (ear_thread_.joinable()) ear_thread_.join();
    if (computing_thread_.joinable()) computing_thread_.join();
    timings_.vad = ear_.vad_seconds();
    timings_.frontend = ear_.frontend_seconds();
    timings_.audio_seconds = static_cast<double>(ear_.samples()) / dsp::kSampleRate;
    const std::lock_guard lock(error_mutex_);
    if (error_) std::rethrow_exception(error_);
    if (stop_.stop_requested()) throw Stopped();
  }

  void cancel() {
    stop_.request_stop();
    abort();
  }

  const Timings& timings() const { return timings_; }
  double dropped_seconds() const { return dropped_ms_ / 1000; }

 private:
  // Nothing that waits is worked on any more.
  void abort() {
    intake_.abort();
    tasks_.close();
  }

  template <class Body, class End>
  void guard(const Body& body, const End& end) {
    try {
      body();
    } catch (...) {
      {
        const std::lock_guard lock(error_mutex_);
        if (!error_ && !stop_.stop_requested()) error_ = std::current_exception();
      }
      abort();
    }
    end();
  }

  bool idle() const { return in_work_.empty(); }
  void throw_if_stopped() const {
    if (stop_.stop_requested()) throw Stopped();
  }

  void compute() {
    for (bool exhausted = false; !exhausted || !idle();) {
      throw_if_stopped();
      while (!exhausted && static_cast<int>(in_work_.size()) < options_.transcribe.batch) {
        auto task = idle() ? tasks_.pop() : tasks_.try_pop();
        if (!task && !idle()) break;  // none is ready: go on with those in work
        if (task) {
          const Stopwatch watch(timings_.wall_seconds);
          take(std::move(*task));
        } else {
          exhausted = true;
        }
      }
      const Stopwatch watch(timings_.wall_seconds);
      if (!idle()) take_results();
    }
    timings_.decoder = listener_.decoder_seconds();
    throw_if_stopped();
    text_.flush();
  }

  void take(LiveTask task) {
    switch (task.kind) {
      case LiveTask::Kind::kWindow:
        unsettled_.push_back({task.source.window.reason, task.arrived});
        hear(std::move(task.source));
        break;
      case LiveTask::Kind::kSettle:
        while (!idle()) take_results();
        if (!unsettled_.empty()) unsettled_.back().arrived = task.arrived;
        text_.flush();
        break;
      case LiveTask::Kind::kPartial:
        if (idle()) tell_partial(std::move(task));
        ear_.partial_done();
        break;
    }
  }

  void hear(SourceWindow source) {
    auto cross = encode(source.mel);
    text_.add(listener_, std::move(source), std::move(cross));
    text_.decide_language();  // for now: the next windows may know better
    for (const int64_t part : text_.take_ready()) submit(part);
  }

  std::shared_ptr<const decoder::CrossState> encode(std::span<const float> mel) {
    const Stopwatch watch(timings_.encoder);
    ++timings_.windows;
    return listener_.encode(mel);
  }

  void submit(int64_t part) {
    in_work_.insert(part);
    listener_.submit(part, text_.task(part));
  }

  void take_results() {
    for (Heard& heard : listener_.wait()) {
      if (heard.error) std::rethrow_exception(heard.error);
      in_work_.erase(heard.number);
      timings_.tokens += static_cast<int64_t>(heard.result.tokens.size());
      if (!text_.take(listener_, heard.number, std::move(heard.result))) submit(heard.number);
      while (const auto again = text_.next_again()) {
        text_.set_cross(again->part, encode(again->mel));
        submit(again->part);
      }
    }
    const Stopwatch watch(timings_.stitch);
    text_.settle();
  }

  void tell_partial(LiveTask task) {
    const auto arrived = task.arrived;
    std::optional<LivePartials::Text> text;
    listener_.call([&](nn::Context& ctx) {
      text = partials_.pass(ctx, std::move(task.source), text_.language(), text_.pending(),
                            [this] { return tasks_.size() > 0; });
    });
    if (!text || text->text.empty()) return;
    tell({.kind = LiveEventKind::kPartial,
          .start = text->start,
          .end = text->end,
          .text = text->text,
          .stable = text->stable},
         arrived);
  }

  void tell_final(double start, double end) {
    LiveEvent event{.kind = LiveEventKind::kFinal,
                    .start = start,
                    .end = end,
                    .segments = std::exchange(final_, {})};
    for (Segment& segment : event.segments) {
      event.text += segment.text;
      segment.id = next_id_++;
    }
    event.stable = event.text.size();
    text_.forget();
    const Unsettled done = unsettled_.front();
    unsettled_.pop_front();
    // A window that was cut in speech had to wait for the next.
    const bool waited = done.reason == dsp::WindowEnd::kFull && !unsettled_.empty();
    tell(std::move(event), waited ? unsettled_.front().arrived : done.arrived);
  }

  void tell(LiveEvent event, Clock::time_point arrived) {
    const std::lock_guard lock(event_mutex_);
    if (stop_.stop_requested()) return;
    if (event.kind == LiveEventKind::kOverrun) dropped_ms_ += (event.end - event.start) * 1000;
    event.dropped_ms = dropped_ms_;
    event.lag_ms = std::chrono::duration<double, std::milli>(Clock::now() - arrived).count();
    on_event_(event);
  }

  struct Unsettled {  // a window whose text is not final
    dsp::WindowEnd reason;
    Clock::time_point arrived;
  };

  std::shared_ptr<SpeechEngine> engine_;
  std::shared_ptr<const SpeechModel> model_;
  const LiveOptions options_;
  OnEvent on_event_;
  std::mutex event_mutex_;
  double dropped_ms_ = 0;
  std::stop_source stop_;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::atomic<bool> paused_ = false;
  Timings timings_;
  LiveIntake intake_;
  BoundedQueue<LiveTask> tasks_{4};
  LiveEar ear_;
  TranscribeEvents events_;
  const DecodePolicy policy_;
  WindowedTranscript text_;
  Listener listener_;
  std::set<int64_t> in_work_;  // parts of windows
  LivePartials partials_;
  std::deque<Unsettled> unsettled_;
  std::vector<Segment> final_;  // of the window whose text is becoming final
  int64_t next_id_ = 0;
  std::jthread ear_thread_;  // last: they use everything above
  std::jthread computing_thread_;
};

LiveSession::LiveSession(std::shared_ptr<const SpeechModel> model, const LiveOptions& options,
                         OnEvent on_event)
    : LiveSession(start_speech_engine(std::move(model), start_engine(options.threads)), options,
                  std::move(on_event)) {}

LiveSession::LiveSession(std::shared_ptr<SpeechEngine> engine, const LiveOptions& options,
                         OnEvent on_event)
    : work_(std::make_unique<Work>(std::move(engine), options, std::move(on_event))) {}

LiveSession::~LiveSession() = default;

bool LiveSession::push(std::span<const float> samples) { return work_->push(samples); }
void LiveSession::missed(int64_t samples) { work_->missed(samples); }
void LiveSession::played(std::span<const float> samples) { work_->played(samples); }
void LiveSession::flush() { work_->flush(); }
void LiveSession::pause() { work_->pause(true); }
void LiveSession::resume() { work_->pause(false); }
void LiveSession::finish() { work_->finish(); }
void LiveSession::cancel() { work_->cancel(); }
const Timings& LiveSession::timings() const { return work_->timings(); }
double LiveSession::dropped_seconds() const { return work_->dropped_seconds(); }

}  // namespace parley::pipeline
