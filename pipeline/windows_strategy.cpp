#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/error.h"
#include "pipeline/decode_policy.h"
#include "pipeline/hallucinations.h"
#include "pipeline/overlap.h"
#include "pipeline/segments.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"
#include "pipeline/window_source.h"
#include "pipeline/word_times.h"
#include "text/utf8.h"

namespace parley::pipeline {

namespace {

double seconds(int64_t samples) { return static_cast<double>(samples) / dsp::kSampleRate; }

// A window between its decoding and the moment when its text is final.
struct DecodedWindow {
  dsp::Window window;
  std::shared_ptr<const decoder::CrossState> cross;
  int attempt = 0;
  bool done = false;
  decoder::DecodeResult result;
  std::vector<Segment> segments = {};
  std::vector<std::vector<decoder::AlignedWord>> aligned = {};  // words of each, when asked for
};

// One run over one input.
class WindowsRun {
 public:
  WindowsRun(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
             const TranscribeOptions& options, const TranscribeEvents& events,
             const std::stop_token& stop, Timings& timings)
      : ctx_(ctx),
        model_(model),
        options_(options),
        events_(events),
        timings_(timings),
        policy_(model, options),
        search_(model.decoder, model.tokenizer.special(), options.batch * policy_.sequences()),
        source_(std::move(audio), model.log_mel, model.encoder.frames(), options, stop) {}

  Transcript run() {
    while (true) {
      ctx_.throw_if_stopped();
      while (!exhausted_ && static_cast<int>(in_work_.size()) < options_.batch) {
        auto window = search_.idle() ? source_.next() : source_.next_if_ready();
        if (!window && !search_.idle()) break;  // none is ready: go on with those in work
        if (!window) {
          exhausted_ = true;
          break;
        }
        listen(std::move(*window));
      }
      if (search_.idle() && exhausted_) break;
      decode_step();
      settle();
    }
    ctx_.throw_if_stopped();
    return finish();
  }

 private:
  void listen(SourceWindow item) {
    const int64_t number = next_window_++;
    DecodedWindow& entry = windows_[number];
    entry.window = item.window;
    {
      const Stopwatch watch(timings_.encoder);
      const nn::Scope scope(ctx_);
      const nn::Tensor features =
          ctx_.allocate({model_.encoder.positions(), model_.encoder.d_model()});
      model_.encoder.run(
          ctx_,
          nn::Tensor(item.mel.data(), {model_.encoder.frames(), model_.encoder.n_mels()},
                     nn::DType::kF32),
          features);
      entry.cross = model_.decoder.listen(ctx_, features);
    }
    if (policy_.needs_language()) {
      const Stopwatch watch(timings_.decoder);
      const auto languages =
          decoder::detect_language(ctx_, model_.decoder, model_.tokenizer.special(), entry.cross);
      policy_.set_language(languages.at(0).code);
      transcript_.language_probability = languages.at(0).probability;
    }
    ++timings_.windows;
    submit(number);
  }

  void submit(int64_t number) {
    const DecodedWindow& entry = windows_.at(number);
    const int64_t task = search_.submit(policy_.task(entry.cross, policy_.initial_prompt(),
                                                     entry.attempt, static_cast<uint64_t>(number)));
    in_work_[task] = number;
  }

  void decode_step() {
    const Stopwatch watch(timings_.decoder);
    for (auto& [task, result] : search_.step(ctx_)) {
      const int64_t number = in_work_.at(task);
      in_work_.erase(task);
      timings_.tokens += static_cast<int64_t>(result.tokens.size());
      DecodedWindow& entry = windows_.at(number);
      entry.result = std::move(result);
      if (!policy_.accepts(entry.result) && entry.attempt + 1 < policy_.attempts()) {
        ++entry.attempt;
        submit(number);
      } else {
        take_text(entry);
      }
    }
  }

  // The result is accepted: what follows needs its segments, and what the window sounded like only
  // for their words.
  void take_text(DecodedWindow& entry) {
    const double start = seconds(entry.window.start);
    const double length = seconds(entry.window.end - entry.window.start);
    if (!policy_.is_silence(entry.result)) {
      entry.segments =
          segment_window(model_.tokenizer, entry.result, start, length, Unfinished::kKeep).segments;
    }
    if (policy_.needs_words()) {
      entry.aligned = decoder::align_words(ctx_, model_.decoder, model_.tokenizer,
                                           policy_.align_task(entry.cross, entry.segments, length));
    }
    entry.cross.reset();
    entry.done = true;
  }

  // Takes over decoded windows in order of time. A window's text is final when the next one is
  // known.
  void settle() {
    const Stopwatch watch(timings_.stitch);
    while (!windows_.empty() && windows_.begin()->second.done) {
      DecodedWindow entry = std::move(windows_.begin()->second);
      windows_.erase(windows_.begin());
      const double start = seconds(entry.window.start);
      const double end = seconds(entry.window.end);
      std::vector<Segment> segments = std::move(entry.segments);
      if (policy_.is_silence(entry.result))
        reject(start, end, policy_.text_of(entry.result.tokens), "no_speech");
      if (policy_.needs_words()) time_words(segments, std::move(entry.aligned), start, end);
      drop_empty(segments);
      for (Segment& segment : segments) segment.end = std::min(segment.end, end);
      if (entry.window.overlaps_previous)
        join_overlap(model_.tokenizer, policy_.language(), start, open_end_, open_, segments);
      flush();
      open_ = std::move(segments);
      open_end_ = end;
      if (events_.progress) events_.progress(open_end_);
    }
  }

  void time_words(std::vector<Segment>& segments,
                  std::vector<std::vector<decoder::AlignedWord>> aligned, double start,
                  double end) {
    const double last_speech = !open_.empty() ? open_.back().end : last_speech_;
    add_words(segments, model_.tokenizer, std::move(aligned),
              {start, end, last_speech, policy_.language()});
    const double threshold = options_.hallucination_silence_threshold;
    if (threshold < 0) return;
    const HeardWindow window{start, end, end, last_speech};
    for (size_t i = 0;
         (i = find_hallucination(segments, i, window, threshold)) < segments.size();) {
      reject(segments[i].start, segments[i].end, std::string(text::strip(segments[i].text)),
             "hallucination");
      segments.erase(segments.begin() + static_cast<int64_t>(i));
    }
  }

  void reject(double start, double end, std::string text, std::string reason) {
    transcript_.rejected.push_back({start, end, std::move(text), std::move(reason)});
  }

  void flush() {
    for (Segment& segment : open_) {
      last_speech_ = segment.end;
      deliver(std::move(segment), options_.word_timestamps, transcript_, events_);
    }
    open_.clear();
  }

  Transcript finish() {
    flush();
    const WindowSource::Summary& summary = source_.summary();
    timings_.decode_audio += summary.decode_audio;
    timings_.vad += summary.vad;
    timings_.frontend += summary.frontend;
    transcript_.duration = seconds(summary.samples);
    transcript_.language = policy_.language();
    if (!model_.multilingual) transcript_.language_probability = 1;
    transcript_.notices = summary.notices;
    for (const auto& [start, end] : summary.skipped)
      transcript_.rejected.push_back({seconds(start), seconds(end), "", "vad"});
    std::stable_sort(transcript_.rejected.begin(), transcript_.rejected.end(),
                     [](const Rejected& a, const Rejected& b) { return a.start < b.start; });
    return std::move(transcript_);
  }

  nn::Context& ctx_;
  const SpeechModel& model_;
  const TranscribeOptions& options_;
  const TranscribeEvents& events_;
  Timings& timings_;
  DecodePolicy policy_;
  decoder::Search search_;
  WindowSource source_;
  bool exhausted_ = false;
  int64_t next_window_ = 0;
  std::map<int64_t, DecodedWindow> windows_;  // by number: not settled yet
  std::map<int64_t, int64_t> in_work_;        // task -> window
  std::vector<Segment> open_;  // of the last settled window: its end may still change
  double open_end_ = 0;
  double last_speech_ = 0;  // end of the last segment delivered
  Transcript transcript_;
};

}  // namespace

Transcript transcribe_windows(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
                              const TranscribeOptions& options, const TranscribeEvents& events,
                              const std::stop_token& stop, Timings& timings) {
  return WindowsRun(ctx, model, std::move(audio), options, events, stop, timings).run();
}

}  // namespace parley::pipeline
