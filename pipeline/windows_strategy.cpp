#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/error.h"
#include "pipeline/decode_policy.h"
#include "pipeline/segments.h"
#include "pipeline/stitcher.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"
#include "pipeline/window_source.h"
#include "text/word_tokens.h"

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
};

// The words of segments with their times; until words have times of their own, a segment's time is
// shared by its words in proportion to their letters.
struct SegmentWord {
  TimedWord timed;
  size_t segment;
  text::WordTokens tokens;  // within the segment's tokens of text
};

std::vector<int32_t> text_tokens(const text::Tokenizer& tokenizer, const Segment& segment) {
  std::vector<int32_t> tokens = segment.tokens;
  std::erase_if(tokens, [&](int32_t id) { return tokenizer.bytes(id).empty(); });
  return tokens;
}

std::vector<SegmentWord> words_of(const text::Tokenizer& tokenizer,
                                  const std::vector<Segment>& segments,
                                  const std::string& language) {
  std::vector<SegmentWord> words;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const auto split =
        text::split_to_word_tokens(tokenizer, text_tokens(tokenizer, segment), language);
    double total = 0;
    for (const auto& word : split) total += static_cast<double>(word.text.size());
    double time = segment.start;
    for (const auto& word : split) {
      const double length = (segment.end - segment.start) * static_cast<double>(word.text.size()) /
                            std::max(total, 1.0);
      words.push_back({{word.text, time, time + length}, i, word});
      time += length;
    }
  }
  return words;
}

std::vector<TimedWord> times_of(const std::vector<SegmentWord>& words) {
  std::vector<TimedWord> timed;
  for (const SegmentWord& word : words) timed.push_back(word.timed);
  return timed;
}

// The segments cut down to words [begin, end).
std::vector<Segment> cut(const text::Tokenizer& tokenizer, const std::vector<Segment>& segments,
                         const std::vector<SegmentWord>& words, size_t begin, size_t end) {
  std::vector<Segment> kept;
  for (size_t i = begin; i < end;) {
    const size_t segment = words[i].segment;
    size_t stop = i;
    while (stop < end && words[stop].segment == segment) ++stop;
    const bool starts = i == 0 || words[i - 1].segment != segment;
    const bool ends = stop == words.size() || words[stop].segment != segment;
    Segment part = segments[segment];
    if (!starts || !ends) {
      const std::vector<int32_t> tokens = text_tokens(tokenizer, part);
      part.tokens.assign(tokens.begin() + static_cast<int64_t>(words[i].tokens.begin),
                         tokens.begin() + static_cast<int64_t>(words[stop - 1].tokens.end));
      part.text = tokenizer.decode(part.tokens);
      if (!starts) part.start = words[i].timed.start;
      if (!ends) part.end = words[stop - 1].timed.end;
    }
    kept.push_back(std::move(part));
    i = stop;
  }
  return kept;
}

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
        entry.done = true;
        entry.cross.reset();
      }
    }
  }

  // Takes over decoded windows in order of time. A window's text is final when the next one is
  // known.
  void settle() {
    const Stopwatch watch(timings_.stitch);
    while (!windows_.empty() && windows_.begin()->second.done) {
      const DecodedWindow entry = std::move(windows_.begin()->second);
      windows_.erase(windows_.begin());
      std::vector<Segment> segments;
      const double start = seconds(entry.window.start);
      if (policy_.is_silence(entry.result)) {
        transcript_.rejected.push_back(
            {start, seconds(entry.window.end), policy_.text_of(entry.result.tokens), "no_speech"});
      } else {
        segments = segment_window(model_.tokenizer, entry.result, start,
                                  seconds(entry.window.end - entry.window.start), Unfinished::kKeep)
                       .segments;
      }
      for (Segment& segment : segments)
        segment.end = std::min(segment.end, seconds(entry.window.end));
      if (entry.window.overlaps_previous) join(segments, start);
      flush();
      open_ = std::move(segments);
      open_end_ = seconds(entry.window.end);
      if (events_.progress) events_.progress(open_end_);
    }
  }

  // `segments` of a window that starts at `start`, before open_end_: cuts both at the seam.
  void join(std::vector<Segment>& segments, double start) {
    const auto earlier = words_of(model_.tokenizer, open_, policy_.language());
    const auto later = words_of(model_.tokenizer, segments, policy_.language());
    const Seam seam = find_seam(times_of(earlier), times_of(later), start, open_end_);
    open_ = cut(model_.tokenizer, open_, earlier, 0, seam.keep);
    segments = cut(model_.tokenizer, segments, later, seam.from, later.size());
    if (!open_.empty() && !segments.empty()) {
      segments.front().start =
          std::max(segments.front().start, std::min(open_.back().end, segments.front().end));
    }
  }

  void flush() {
    for (Segment& segment : open_) {
      segment.id = static_cast<int64_t>(transcript_.segments.size());
      transcript_.text += segment.text;
      transcript_.segments.push_back(std::move(segment));
      if (events_.segment) events_.segment(transcript_.segments.back());
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
  Transcript transcript_;
};

}  // namespace

Transcript transcribe_windows(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
                              const TranscribeOptions& options, const TranscribeEvents& events,
                              const std::stop_token& stop, Timings& timings) {
  return WindowsRun(ctx, model, std::move(audio), options, events, stop, timings).run();
}

}  // namespace parley::pipeline
