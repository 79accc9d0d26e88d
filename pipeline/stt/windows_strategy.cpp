#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"
#include "parley/pipeline/stt/strategies.h"
#include "parley/pipeline/stt/window_source.h"
#include "parley/pipeline/stt/windowed_transcript.h"

namespace parley::pipeline {

namespace {

// All inputs of one call. Their windows are encoded one after another and decoded together,
// whichever input they are of.
class WindowsRun {
 public:
  WindowsRun(SpeechEngine& engine, const NextInput& next, const TranscribeOptions& options,
             const std::stop_token& stop, Timings& timings)
      : model_(engine.model()),
        next_(next),
        options_(options),
        stop_(stop),
        timings_(timings),
        policy_(model_, options),
        listener_(engine, Urgency::kFile, stop) {}

  void run() {
    do {
      throw_if_stopped();
      fill();
      if (!idle()) take_results();
      settle();
    } while (!idle() || !files_.empty() || open_next());
    timings_.decoder += listener_.decoder_seconds();
  }

 private:
  // An input in work.
  struct File {
    File(const WindowsRun& run, Input from)
        : input(std::move(from)),
          text(run.model_, run.options_, input.events, run.policy_),
          source(std::move(input.audio), run.model_.log_mel, run.model_.encoder.frames(),
                 run.options_, run.stop_) {}

    Input input;
    WindowedTranscript text;
    WindowSource source;
    bool read = false;  // to its end
    std::exception_ptr error = nullptr;
    int64_t in_work = 0;  // parts of windows that are being decoded
  };
  struct Task {
    File* file;
    int64_t part;  // of a window of it
  };

  bool idle() const { return tasks_.empty(); }
  void throw_if_stopped() const {
    if (stop_.stop_requested()) throw Stopped();
  }

  // What is to be heard again, windows of the newest input, then of those that follow it, as long
  // as there is room: what waits to be decoded is not encoded yet, since that takes much memory.
  void fill() {
    while (static_cast<int>(tasks_.size()) < options_.batch) {
      if (take_again()) continue;
      if ((files_.empty() || files_.back()->read) && !open_next()) return;
      File& file = *files_.back();
      const bool taken = within(file, [&] { return take_window(file); });
      if (!taken && !file.read) return;  // none is ready: go on with those in work
    }
  }

  bool open_next() {
    // Only with nothing else to do is the next input waited for.
    std::optional<Input> input = next_(idle() && files_.empty());
    if (!input) return false;
    auto failed = input->failed;
    try {
      files_.push_back(std::make_unique<File>(*this, std::move(*input)));
    } catch (const Error&) {  // what the options ask for
      failed(std::current_exception());
    }
    return true;
  }

  // What goes wrong with one input ends that input only.
  template <class Body>
  bool within(File& file, const Body& body) {
    try {
      return body();
    } catch (const Stopped&) {
      throw;
    } catch (const std::exception&) {
      file.error = std::current_exception();
      file.read = true;
      return false;
    }
  }

  bool take_window(File& file) {
    std::optional<SourceWindow> item = idle() ? file.source.next() : file.source.next_if_ready();
    if (!item) {
      file.read = file.source.ended();
      if (file.read) file.text.decide_language();
    } else {
      auto cross = encode(item->mel);
      file.text.add(listener_, std::move(*item), std::move(cross));
    }
    for (const int64_t part : file.text.take_ready()) submit(file, part);
    return item.has_value();
  }

  std::shared_ptr<const decoder::CrossState> encode(std::span<const float> mel) {
    const Stopwatch watch(timings_.encoder);
    ++timings_.windows;
    return listener_.encode(mel);
  }

  void submit(File& file, int64_t part) {
    tasks_[next_task_] = {&file, part};
    listener_.submit(next_task_++, file.text.task(part));
    ++file.in_work;
  }

  void take(File& file, int64_t part, decoder::DecodeResult result) {
    if (!file.text.take(listener_, part, std::move(result))) submit(file, part);
  }

  // False: nothing is to be heard again.
  bool take_again() {
    return std::ranges::any_of(files_, [&](const auto& file) {
      return !file->error && within(*file, [&] {
        const auto again = file->text.next_again();
        if (!again) return false;
        file->text.set_cross(again->part, encode(again->mel));
        submit(*file, again->part);
        return true;
      });
    });
  }

  void take_results() {
    for (Heard& heard : listener_.wait()) {
      const auto [file, part] = tasks_.at(heard.number);
      tasks_.erase(heard.number);
      --file->in_work;
      timings_.tokens += static_cast<int64_t>(heard.result.tokens.size());
      if (file->error) continue;
      within(*file, [&, file = file, part = part] {
        if (heard.error) std::rethrow_exception(heard.error);
        take(*file, part, std::move(heard.result));
        return true;
      });
    }
  }

  // Text that has become final; then the inputs that are finished, in their order.
  void settle() {
    const Stopwatch watch(timings_.stitch);
    for (const auto& file : files_) {
      if (file->error) continue;
      within(*file, [&] {
        file->text.settle();
        return true;
      });
    }
    while (!files_.empty()) {
      File& file = *files_.front();
      if (!file.read || file.in_work > 0 || (!file.error && !file.text.settled())) return;
      const std::unique_ptr<File> finished = std::move(files_.front());
      files_.pop_front();
      finish(*finished);
    }
  }

  void finish(File& file) {
    throw_if_stopped();  // an input that was cut short so is not finished
    Transcript transcript;
    const bool good = !file.error && within(file, [&] {
      transcript = file.text.finish(file.source.summary());
      return true;
    });
    if (!good) return file.input.failed(file.error);
    const WindowSource::Summary& summary = file.source.summary();
    timings_.decode_audio += summary.decode_audio;
    timings_.vad += summary.vad;
    timings_.frontend += summary.frontend;
    timings_.audio_seconds += transcript.duration;
    file.input.done(std::move(transcript));
  }

  const SpeechModel& model_;
  const NextInput& next_;
  const TranscribeOptions& options_;
  const std::stop_token& stop_;
  Timings& timings_;
  const DecodePolicy policy_;                // with which every input begins
  std::deque<std::unique_ptr<File>> files_;  // in order; all but the last are read to their end
  std::map<int64_t, Task> tasks_;            // by their numbers
  int64_t next_task_ = 0;
  Listener listener_;  // last: what it submitted is forgotten first
};

}  // namespace

void transcribe_windows(SpeechEngine& engine, const NextInput& next,
                        const TranscribeOptions& options, const std::stop_token& stop,
                        Timings& timings) {
  WindowsRun(engine, next, options, stop, timings).run();
}

}  // namespace parley::pipeline
