#include "parley/pipeline/live/conversation.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "parley/core/base/error.h"

namespace parley::pipeline {

namespace {

constexpr size_t kBlock = dsp::kSampleRate / 100;        // samples played at a time
constexpr int64_t kLearning = 3 * dsp::kSampleRate / 2;  // samples played before barge-in counts

SpeakOptions at_the_rate_of_ears(SpeakOptions options) {
  options.sample_rate = dsp::kSampleRate;
  return options;
}

// All of it at once.
TextReader reader_of(std::string_view text) {
  return [text](std::span<char> buffer, const std::stop_token&) mutable {
    const size_t count = text.copy(buffer.data(), buffer.size());
    text.remove_prefix(count);
    return count;
  };
}

}  // namespace

class Conversation::Work {
 public:
  Work(std::shared_ptr<const SpeechModel> ears, std::shared_ptr<const VoiceModel> voice,
       const ConversationOptions& options, SampleWriter play, ConversationEvents events)
      : barge_in_(options.barge_in),
        speak_(at_the_rate_of_ears(options.speak)),
        play_(std::move(play)),
        events_(std::move(events)),
        engine_(start_engine(options.live.threads)),
        synthesizer_(std::move(voice), engine_),
        session_(start_speech_engine(std::move(ears), engine_), options.live,
                 [this](const LiveEvent& event) { hear(event); }),
        thread_([this] { speak_all(); }) {}

  ~Work() {
    close();
    hush();
    session_.cancel();
  }

  void say(std::string text) {
    const std::lock_guard lock(mutex_);
    if (closed_ || somebody_speaks_) return;
    texts_.push_back(std::move(text));
    changed_.notify_all();
  }

  void hush() {
    std::stop_source speech;
    {
      const std::lock_guard lock(mutex_);
      texts_.clear();
      speech = speech_;
    }
    speech.request_stop();
  }

  void finish() {
    std::exception_ptr failure;
    try {
      session_.finish();
    } catch (...) {
      failure = std::current_exception();
      hush();
    }
    close();
    if (thread_.joinable()) thread_.join();
    if (error_) failure = error_;
    if (failure) std::rethrow_exception(failure);
  }

  LiveSession& session() { return session_; }

 private:
  void hear(const LiveEvent& event) {
    const bool barges_in =
        barge_in_ && event.kind == LiveEventKind::kSpeechStart && played_ >= kLearning;
    if (barges_in || event.kind == LiveEventKind::kSpeechEnd) {
      const std::lock_guard lock(mutex_);
      somebody_speaks_ = barges_in;
    }
    if (barges_in) hush();
    if (events_.heard) events_.heard(event);
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  void speak_all() try {
    while (const std::optional<std::string> text = next()) {
      const bool whole = speak(*text);
      if (events_.said) events_.said(*text, whole);
    }
  } catch (...) {
    error_ = std::current_exception();
    session_.cancel();
  }

  std::optional<std::string> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !texts_.empty() || closed_; });
    if (texts_.empty()) return std::nullopt;
    speech_ = std::stop_source();
    std::string text = std::move(texts_.front());
    texts_.pop_front();
    return text;
  }

  // False: interrupted.
  bool speak(const std::string& text) {
    const std::stop_token stop = speech_.get_token();
    try {
      synthesizer_.speak(
          reader_of(text), [&](std::span<const float> samples) { play(samples, stop); }, speak_, {},
          stop);
    } catch (const Stopped&) {
    }
    return !stop.stop_requested();
  }

  void play(std::span<const float> samples, const std::stop_token& stop) {
    while (!samples.empty() && !stop.stop_requested()) {
      const auto block = samples.first(std::min(kBlock, samples.size()));
      session_.played(block);
      played_ += static_cast<int64_t>(block.size());
      play_(block);
      samples = samples.subspan(block.size());
    }
  }

  const bool barge_in_;
  const SpeakOptions speak_;
  const SampleWriter play_;
  const ConversationEvents events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> texts_;  // that wait
  std::stop_source speech_;        // of the text that is being said
  bool somebody_speaks_ = false;
  std::atomic<int64_t> played_ = 0;  // samples
  bool closed_ = false;
  std::exception_ptr error_;        // of the speaking thread
  std::shared_ptr<Engine> engine_;  // hears and speaks
  Synthesizer synthesizer_;
  LiveSession session_;
  std::jthread thread_;  // last: it uses everything above
};

Conversation::Conversation(std::shared_ptr<const SpeechModel> ears,
                           std::shared_ptr<const VoiceModel> voice,
                           const ConversationOptions& options, SampleWriter play,
                           ConversationEvents events)
    : work_(std::make_unique<Work>(std::move(ears), std::move(voice), options, std::move(play),
                                   std::move(events))) {}

Conversation::~Conversation() = default;

bool Conversation::push(std::span<const float> samples) { return work_->session().push(samples); }
void Conversation::say(std::string text) { work_->say(std::move(text)); }
void Conversation::hush() { work_->hush(); }
void Conversation::finish() { work_->finish(); }
LiveSession& Conversation::session() { return work_->session(); }

}  // namespace parley::pipeline
