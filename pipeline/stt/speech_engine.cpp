#include "parley/pipeline/stt/speech_engine.h"

#include <set>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"

namespace parley::pipeline {

namespace {
// Sequences that may be decoded together: more than listeners can want. Their memory grows with
// what they say.
constexpr int kSlots = 4096;
}  // namespace

SpeechEngine::SpeechEngine(std::shared_ptr<Engine> engine, std::shared_ptr<const SpeechModel> model,
                           int windows)
    : engine_(std::move(engine)),
      model_(std::move(model)),
      windows_(windows),
      search_(model_->decoder, model_->tokenizer.special(), kSlots) {
  engine_->add(*this);
}

SpeechEngine::~SpeechEngine() { engine_->remove(*this); }

bool SpeechEngine::idle() const {
  const std::lock_guard lock(mutex_);
  return in_work_ == 0 && !someone_gone_;
}

bool SpeechEngine::urgent() const {
  const std::lock_guard lock(mutex_);
  return live_in_work_ > 0;
}

void SpeechEngine::tell_all() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void SpeechEngine::done(Desk& desk, Heard heard) {
  if (desk.gone) return;
  desk.finished.push_back(std::move(heard));
  --desk.in_work;
  --in_work_;
  if (desk.urgency == Urgency::kLive) --live_in_work_;
}

void SpeechEngine::take_submissions() {
  std::deque<Submission> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(submitted_);
  }
  for (Submission& submission : taken) {
    try {
      const int64_t task = search_.submit(std::move(submission.task));
      owners_.emplace(task, Owner{submission.desk, submission.number});
    } catch (...) {  // what this listener asks for cannot be; the others go on
      const std::lock_guard lock(mutex_);
      done(*submission.desk, {.number = submission.number, .error = std::current_exception()});
    }
  }
}

// Tasks of listeners that are no more.
void SpeechEngine::drop_gone() {
  const std::lock_guard lock(mutex_);
  if (!std::exchange(someone_gone_, false)) return;
  std::erase_if(owners_, [&](const auto& entry) {
    if (!entry.second.desk->gone) return false;
    search_.cancel(entry.first);
    return true;
  });
}

void SpeechEngine::step(nn::Context& ctx) {
  std::vector<decoder::Search::Finished> finished;
  double seconds = 0;
  try {
    const Stopwatch watch(seconds);
    take_submissions();
    drop_gone();
    if (!search_.idle()) finished = search_.step(ctx);
  } catch (...) {  // such as want of memory: no window can be trusted to go on
    fail_all(std::current_exception());
  }
  const std::lock_guard lock(mutex_);
  std::set<Desk*> served;
  for (const auto& [task, owner] : owners_) served.insert(owner.desk.get());
  for (Desk* desk : served) desk->seconds += seconds;
  for (decoder::Search::Finished& one : finished) {
    const auto owner = owners_.find(one.task);
    done(*owner->second.desk, {owner->second.number, std::move(one.result)});
    owners_.erase(owner);
  }
  changed_.notify_all();
}

void SpeechEngine::fail_all(const std::exception_ptr& error) {
  const std::lock_guard lock(mutex_);
  for (const auto& [task, owner] : owners_) {
    search_.cancel(task);
    done(*owner.desk, {.number = owner.number, .error = error});
  }
  owners_.clear();
}

Listener::Listener(SpeechEngine& engine, Urgency urgency, std::stop_token stop)
    : engine_(engine),
      stop_(std::move(stop)),
      desk_(std::make_shared<SpeechEngine::Desk>(SpeechEngine::Desk{.urgency = urgency})) {}

Listener::~Listener() {
  {
    const std::lock_guard lock(engine_.mutex_);
    std::erase_if(engine_.submitted_, [&](const auto& waiting) { return waiting.desk == desk_; });
    engine_.in_work_ -= static_cast<int>(desk_->in_work);
    if (desk_->urgency == Urgency::kLive) engine_.live_in_work_ -= static_cast<int>(desk_->in_work);
    desk_->gone = true;
    engine_.someone_gone_ = engine_.someone_gone_ || desk_->in_work > 0;
    engine_.changed_.notify_all();
  }
  engine_.engine().wake();
}

void Listener::call(const std::function<void(nn::Context&)>& work) const {
  engine_.engine().call(desk_->urgency, stop_, work);
}

std::shared_ptr<const decoder::CrossState> Listener::encode(std::span<const float> mel) const {
  std::shared_ptr<const decoder::CrossState> cross;
  const auto encode_now = [&](nn::Context& ctx) { cross = listen(ctx, model(), mel); };
  if (engine_.windows_ == 0 || desk_->urgency == Urgency::kLive) {
    call(encode_now);
    return cross;
  }
  {
    const std::stop_callback stopped(stop_, [this] { engine_.tell_all(); });
    std::unique_lock lock(engine_.mutex_);
    engine_.changed_.wait(lock, [&] {
      const int files = engine_.in_work_ - engine_.live_in_work_ + engine_.encoding_;
      return files < engine_.windows_ || stop_.stop_requested();
    });
    ++engine_.encoding_;
  }
  struct Encoding {
    ~Encoding() {
      const std::lock_guard lock(engine.mutex_);
      --engine.encoding_;
    }
    SpeechEngine& engine;
  } const encoding{engine_};
  call(encode_now);
  return cross;
}

void Listener::submit(int64_t number, decoder::DecodeTask task) {
  {
    const std::lock_guard lock(engine_.mutex_);
    engine_.submitted_.push_back({desk_, std::move(task), number});
    ++desk_->in_work;
    ++engine_.in_work_;
    if (desk_->urgency == Urgency::kLive) ++engine_.live_in_work_;
  }
  engine_.engine().wake();
}

std::vector<Heard> Listener::wait() {
  const std::stop_callback stopped(stop_, [this] { engine_.tell_all(); });
  std::unique_lock lock(engine_.mutex_);
  engine_.changed_.wait(lock, [&] { return !desk_->finished.empty() || stop_.stop_requested(); });
  if (stop_.stop_requested()) throw Stopped();
  return std::exchange(desk_->finished, {});
}

decoder::DecodeResult Listener::decode(decoder::DecodeTask task) {
  submit(0, std::move(task));
  Heard heard = std::move(wait().at(0));
  if (heard.error) std::rethrow_exception(heard.error);
  return std::move(heard.result);
}

double Listener::decoder_seconds() const {
  const std::lock_guard lock(engine_.mutex_);
  return desk_->seconds;
}

}  // namespace parley::pipeline
