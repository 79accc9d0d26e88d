#include "parley/cli/transcribe/transcribe_live.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "parley/cli/program.h"
#include "parley/cli/transcribe/live_view.h"
#include "parley/cli/transcribe/transcribe_jobs.h"
#include "parley/cli/transcribe/transcribe_run.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/dsp/audio_reader.h"
#include "parley/dsp/microphone.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/stt/decode_policy.h"
#include "parley/pipeline/stt/window_source.h"

namespace parley::cli {

namespace {

using Clock = std::chrono::steady_clock;
using pipeline::LiveEvent;

constexpr size_t kBlock = dsp::kSampleRate / 50;         // 20 ms, what a live reader waits for
constexpr auto kAway = std::chrono::seconds(30);         // how long a lost microphone is waited for
constexpr auto kRetry = std::chrono::milliseconds(500);  // between attempts to open it again

pipeline::LiveOptions session_options(const TranscribeArguments& arguments) {
  const LiveArguments& live = arguments.live;
  pipeline::LiveOptions options;
  options.transcribe = arguments.options;
  options.threads = arguments.threads;
  const bool drop = live.overflow.value_or(live.microphone ? pipeline::Overflow::kDropOldest
                                                           : pipeline::Overflow::kBlock) ==
                    pipeline::Overflow::kDropOldest;
  options.overflow = drop ? pipeline::Overflow::kDropOldest : pipeline::Overflow::kBlock;
  // A source that waits can wait at once: less is in between when it is interrupted.
  options.queue_seconds = drop ? 30 : 2;
  if (live.front_end.value_or(live.microphone)) options.front_end.emplace();
  return options;
}

std::unique_ptr<LiveView> make_view(const TranscribeArguments& arguments) {
  if (arguments.formats.front()->name == "jsonl")
    return event_lines(arguments.options.word_timestamps);
  return ::isatty(STDOUT_FILENO) != 0 ? terminal_view() : final_lines();
}

// Prints events; times are those of the file when only a part of it is read.
class Printer {
 public:
  explicit Printer(const TranscribeArguments& arguments)
      : view_(make_view(arguments)), offset_(arguments.offset), quiet_(arguments.quiet) {}

  void show(LiveEvent event) {
    const std::lock_guard lock(mutex_);
    event.start += offset_;
    event.end += offset_;
    for (pipeline::Segment& segment : event.segments) {
      for (pipeline::Word& word : segment.words) {
        word.start += offset_;
        word.end += offset_;
      }
    }
    if (event.kind == pipeline::LiveEventKind::kOverrun && !quiet_) {
      char line[80];
      std::snprintf(line, sizeof line, "%.0f ms of audio were lost",
                    1000 * (event.end - event.start));
      say_locked(line);
    }
    view_->show(event);
  }
  void say(const std::string& message) {
    const std::lock_guard lock(mutex_);
    if (!quiet_) say_locked(message);
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    view_->clear();
  }

 private:
  void say_locked(const std::string& message) {
    view_->clear();
    std::fprintf(stderr, "transcribe: %s\n", message.c_str());
  }

  std::mutex mutex_;
  std::unique_ptr<LiveView> view_;
  double offset_;
  bool quiet_;
};

// Sleeps until `when`, or until it is to stop.
void sleep_until(Clock::time_point when, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_until(lock, stop, when, [] { return false; });
}

void feed_input(const TranscribeArguments& arguments, pipeline::LiveSession& session,
                Printer& printer, const std::stop_token& stop) {
  const std::string& input = arguments.inputs.front();
  dsp::AudioReader audio = input == kStandardInput
                               ? dsp::AudioReader::standard_input(arguments.raw, arguments.audio)
                               : dsp::AudioReader::open(input, arguments.audio);
  if (arguments.offset > 0 || arguments.duration >= 0)
    audio.limit(arguments.offset, arguments.duration);
  std::vector<float> block(kBlock);
  const auto begun = Clock::now();
  while (!stop.stop_requested()) {
    const size_t count = audio.read(block);
    if (count == 0) break;
    if (arguments.live.realtime) {
      const std::chrono::duration<double> length(static_cast<double>(audio.samples_read()) /
                                                 dsp::kSampleRate);
      sleep_until(begun + std::chrono::duration_cast<Clock::duration>(length), stop);
    }
    if (!session.push(std::span(block).first(count))) return;
  }
  for (const std::string& notice : pipeline::notices_of(audio)) printer.say(input + ": " + notice);
}

// Waits for a microphone that went away. What it did not hear meanwhile is reported.
std::optional<dsp::Microphone> find_again(const std::string& device, pipeline::LiveSession& session,
                                          const std::stop_token& stop) {
  const auto lost = Clock::now();
  session.flush();
  while (!stop.stop_requested()) {
    sleep_until(Clock::now() + kRetry, stop);
    try {
      dsp::Microphone microphone(device);
      const std::chrono::duration<double> away = Clock::now() - lost;
      session.missed(static_cast<int64_t>(away.count() * dsp::kSampleRate));
      return microphone;
    } catch (const Error&) {
      if (Clock::now() - lost > kAway) throw;
    }
  }
  return std::nullopt;
}

void feed_microphone(const TranscribeArguments& arguments, dsp::Microphone opened,
                     pipeline::LiveSession& session, Printer& printer,
                     const std::stop_token& stop) {
  std::optional<dsp::Microphone> microphone(std::move(opened));
  std::vector<float> samples;
  while (microphone && !stop.stop_requested()) {
    try {
      samples.clear();
      microphone->read(samples, 100);
      const int64_t overrun = microphone->take_overrun();
      if (!session.push(samples)) return;
      if (overrun > 0) session.missed(overrun);
    } catch (const Error& error) {
      printer.say(std::string(error.what()) + "; waiting for it");
      microphone.reset();
      microphone = find_again(arguments.live.device, session, stop);
      if (microphone) printer.say("listening to " + microphone->name() + " again");
    }
  }
}

// Runs `feed` in a thread of its own until it is done or interrupted: reading may block for ever.
class Feeder {
 public:
  explicit Feeder(std::function<void(const std::stop_token&)> feed)
      : thread_([this, feed = std::move(feed)] {
          std::exception_ptr error;
          try {
            feed(stop_.get_token());
          } catch (...) {
            error = std::current_exception();
          }
          const std::lock_guard lock(mutex_);
          error_ = error;
          done_ = true;
          changed_.notify_all();
        }) {}
  ~Feeder() {
    stop_.request_stop();
    thread_.join();
  }

  // True: done, else interrupted.
  bool wait(const std::stop_token& interrupt) {
    std::unique_lock lock(mutex_);
    return changed_.wait(lock, interrupt, [this] { return done_; });
  }
  // Asks it to stop. False: it still blocks after a moment.
  bool stop() {
    stop_.request_stop();
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(300), [this] { return done_; });
  }
  std::exception_ptr error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool done_ = false;
  std::exception_ptr error_;
  std::stop_source stop_;
  std::thread thread_;
};

}  // namespace

int list_microphones() {
  for (const dsp::MicrophoneDevice& device : dsp::microphones()) {
    std::printf("%c %3d  %-40s %s, %.0f Hz\n", device.is_default ? '*' : ' ', device.index,
                device.name.c_str(), device.system.c_str(), device.rate);
  }
  return kAllGood;
}

int transcribe_live(const TranscribeArguments& arguments, InterruptWatch& watch,
                    const std::function<std::shared_ptr<const pipeline::SpeechModel>()>& load) {
  std::optional<dsp::Microphone> microphone;
  if (arguments.live.microphone) microphone.emplace(arguments.live.device);
  const auto begun = Clock::now();
  const auto model = load();
  const std::chrono::duration<double> load_seconds = Clock::now() - begun;

  Printer printer(arguments);
  pipeline::LiveSession session(model, session_options(arguments),
                                [&](const LiveEvent& event) { printer.show(event); });
  for (const std::string& notice : pipeline::DecodePolicy(*model, arguments.options).notices())
    printer.say(notice);
  if (microphone) printer.say("listening to " + microphone->name());
  Feeder feeder([&](const std::stop_token& stop) {
    if (microphone) {
      feed_microphone(arguments, std::move(*microphone), session, printer, stop);
    } else {
      feed_input(arguments, session, printer, stop);
    }
  });
  const bool interrupted = !feeder.wait(watch.token());
  const bool stopped = !interrupted || feeder.stop();
  std::exception_ptr failure;
  try {
    session.finish();
    printer.clear();
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure && !arguments.timings.empty()) {
    write_named(arguments.timings, timings_json(arguments, *model, session.timings(),
                                                load_seconds.count(), {.done = 1}));
  }
  if (!stopped) std::_Exit(kInterrupted);  // a read that nothing ends
  if (failure) std::rethrow_exception(failure);
  if (feeder.error()) std::rethrow_exception(feeder.error());
  return interrupted ? kInterrupted : kAllGood;
}

}  // namespace parley::cli
