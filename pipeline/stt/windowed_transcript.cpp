#include "parley/pipeline/stt/windowed_transcript.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "parley/pipeline/stt/hallucinations.h"
#include "parley/pipeline/stt/invented_text.h"
#include "parley/pipeline/stt/overlap.h"
#include "parley/pipeline/stt/segments.h"
#include "parley/pipeline/stt/unheard.h"
#include "parley/pipeline/stt/word_times.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

// How often a part of a window is heard again: a model that gives a word at a time is not asked for
// ever, and one that hears nothing at all only about halves and quarters.
constexpr int kMostAgain = 6;
constexpr int kNothingHeard = 3;         // counts as so many
constexpr double kTimestampStep = 0.02;  // seconds
constexpr double kLongestWord = 1;       // seconds

double seconds(int64_t samples) { return static_cast<double>(samples) / dsp::kSampleRate; }
int64_t samples(double seconds) { return std::llround(seconds * dsp::kSampleRate); }

// The model may say times beyond the audio.
void keep_inside(Segment& segment, double start, double end) {
  segment.end = std::min(segment.end, end);
  segment.start = std::clamp(segment.start, start, std::max(start, segment.end - kTimestampStep));
}

// Which segments end where the model did not say, or take more time than their text can.
std::vector<bool> untold(const WindowSegments& text, std::span<const dsp::SpeechSpan> speech) {
  std::vector<bool> untold;
  for (const Segment& segment : text.segments) untold.push_back(is_too_short(segment, speech));
  if (text.open_end && !untold.empty() && !speech.empty()) untold.back() = true;
  return untold;
}

// words: of the segment, their times from `start` on. The first and the last take what is unsaid
// before and after them, so that they are as long as words are at most.
void keep_to_words(Segment& segment, const std::vector<decoder::AlignedWord>& words, double start) {
  if (words.empty()) return;
  const decoder::AlignedWord& first = words.front();
  const decoder::AlignedWord& last = words.back();
  const double from = start + std::max(first.from, first.to - kLongestWord);
  const double to = start + std::min(last.to, last.from + kLongestWord);
  segment.start = std::max(segment.start, std::min(from, segment.end - kTimestampStep));
  segment.end = std::min(segment.end, std::max(to, segment.start + kTimestampStep));
}

std::vector<dsp::Span> spans_of(const std::vector<Segment>& segments) {
  std::vector<dsp::Span> spans;
  for (const Segment& segment : segments)
    spans.push_back({samples(segment.start), samples(segment.end)});
  return spans;
}

}  // namespace

WindowedTranscript::WindowedTranscript(const SpeechModel& model, const TranscribeOptions& options,
                                       const TranscribeEvents& events, DecodePolicy policy)
    : model_(model), options_(options), events_(events), policy_(std::move(policy)) {
  if (policy_.needs_language()) detection_ = policy_.language_detection();
}

void WindowedTranscript::add(Listener& listener, SourceWindow source,
                             std::shared_ptr<const decoder::CrossState> cross) {
  if (detection_) {
    listener.call([&](nn::Context& ctx) { detection_->hear(policy_.hear_language(ctx, cross)); });
  }
  const int64_t window = next_window_++;
  const dsp::Span all{source.window.start, source.window.end};
  source.mel = {};
  windows_.emplace(window, Entry{.source = std::move(source), .parts = 1});
  parts_.emplace(next_part_, Part{.window = window, .span = all, .cross = std::move(cross)});
  waiting_.push_back(next_part_++);
  if (!detection_ || !detection_->sure()) return;
  decide_language();
  detection_.reset();
}

void WindowedTranscript::decide_language() {
  if (!detection_) return;
  const decoder::LanguageProbability best = detection_->best();
  policy_.set_language(best.code);
  transcript_.language_probability = best.probability;
}

std::vector<int64_t> WindowedTranscript::take_ready() {
  if (policy_.needs_language()) return {};
  return std::exchange(waiting_, {});
}

std::span<const int32_t> WindowedTranscript::prompt_of(const Part& part) const {
  return part.prompted ? policy_.initial_prompt() : std::span<const int32_t>();
}

decoder::DecodeTask WindowedTranscript::task(int64_t number) const {
  const Part& part = parts_.at(number);
  // What the parts' random numbers are does not depend on which of them is done first.
  const auto from =
      static_cast<uint64_t>(part.span.start - windows_.at(part.window).source.window.start);
  const uint64_t key =
      from << 40 | static_cast<uint64_t>(part.depth) << 32 | static_cast<uint64_t>(part.window);
  return policy_.task(part.cross, prompt_of(part), part.attempt, key);
}

bool WindowedTranscript::take(Listener& listener, int64_t number, decoder::DecodeResult result) {
  Part& part = parts_.at(number);
  if (policy_.misled(result, prompt_of(part), detects_speech(options_))) {
    part.prompted = false;
    part.attempt = 0;
    return false;
  }
  if (!policy_.accepts(result) && part.attempt + 1 < policy_.attempts()) {
    ++part.attempt;
    return false;
  }
  const Part done = std::move(part);
  parts_.erase(number);
  Entry& entry = windows_.at(done.window);
  take_text(listener, done, entry, result);
  --entry.parts;
  return true;
}

// The result is accepted: what follows needs its segments, and what the part sounded like only for
// their words.
void WindowedTranscript::take_text(Listener& listener, const Part& part, Entry& entry,
                                   const decoder::DecodeResult& result) {
  const double start = seconds(part.span.start);
  const double end = seconds(part.span.end);
  const bool silence = policy_.is_silence(result);
  WindowSegments text;
  if (!silence) {
    text = segment_window(model_.tokenizer, result, start, end - start, Unfinished::kKeep);
    drop_empty(text.segments);
    for (Segment& segment : text.segments) keep_inside(segment, start, end);
  }
  std::vector<Segment>& segments = text.segments;
  std::vector<std::vector<decoder::AlignedWord>> aligned(segments.size());
  const std::vector<bool> doubtful = untold(text, entry.source.speech);
  const bool doubts = std::find(doubtful.begin(), doubtful.end(), true) != doubtful.end();
  if (!segments.empty() && (policy_.needs_words() || doubts)) {
    listener.call([&](nn::Context& ctx) {
      aligned = decoder::align_words(ctx, model_.decoder, model_.tokenizer,
                                     policy_.align_task(part.cross, segments, end - start));
    });
  }
  for (size_t i = 0; i < segments.size(); ++i) {
    if (doubtful[i]) keep_to_words(segments[i], aligned[i], start);
  }
  if (!hear_again(part, entry, spans_of(segments)) && segments.empty())
    entry.rejected.push_back(
        {start, end, policy_.text_of(result.tokens), silence ? "no_speech" : "unheard"});

  const double shift = seconds(part.span.start - entry.source.window.start);
  for (size_t i = 0; i < segments.size(); ++i) {
    for (decoder::AlignedWord& word : aligned[i]) {
      word.from += shift;
      word.to += shift;
    }
    if (!policy_.needs_words()) aligned[i].clear();
    const std::string_view before = i > 0 ? std::string_view(segments[i - 1].text) : "";
    const std::string_view invented =
        why_invented(segments[i], entry.source.speech, before, options_.no_speech_threshold);
    if (invented.empty()) {
      entry.heard.push_back({segments[i], std::move(aligned[i])});
    } else {
      entry.rejected.push_back({segments[i].start, segments[i].end,
                                std::string(text::strip(segments[i].text)), std::string(invented)});
    }
  }
}

// What the detector heard in the part and its text does not cover becomes parts of their own, or is
// reported. False: there is nothing.
bool WindowedTranscript::hear_again(const Part& part, Entry& entry,
                                    std::vector<dsp::Span> covered) {
  const int depth = part.depth + (covered.empty() ? kNothingHeard : 1);
  const auto spans = unheard(part.span, entry.source.speech, std::move(covered));
  for (const dsp::Span& span : spans) {
    if (depth > kMostAgain) {
      entry.rejected.push_back({seconds(span.start), seconds(span.end), "", "unheard"});
      continue;
    }
    parts_.emplace(next_part_, Part{.window = part.window, .span = span, .depth = depth});
    again_.push_back(next_part_++);
    ++entry.parts;
  }
  return !spans.empty();
}

std::optional<WindowedTranscript::Again> WindowedTranscript::next_again() {
  if (again_.empty()) return std::nullopt;
  const int64_t number = again_.front();
  again_.pop_front();
  const Part& part = parts_.at(number);
  const SourceWindow& source = windows_.at(part.window).source;
  const auto heard = std::span(source.samples)
                         .subspan(static_cast<size_t>(part.span.start - source.window.start),
                                  static_cast<size_t>(part.span.end - part.span.start));
  const int64_t frames = model_.encoder.frames();
  const int64_t n_mels = model_.encoder.n_mels();
  Again again{number, part.span, std::vector<float>(static_cast<size_t>(frames * n_mels))};
  model_.log_mel.window(heard, nn::Tensor(again.mel.data(), {frames, n_mels}, nn::DType::kF32));
  return again;
}

void WindowedTranscript::set_cross(int64_t part, std::shared_ptr<const decoder::CrossState> cross) {
  parts_.at(part).cross = std::move(cross);
}

// Takes over decoded windows in order of time.
void WindowedTranscript::settle() {
  while (!windows_.empty() && windows_.begin()->second.parts == 0) {
    Entry entry = std::move(windows_.begin()->second);
    windows_.erase(windows_.begin());
    const dsp::Window& window = entry.source.window;
    const double start = seconds(window.start);
    const double end = seconds(window.end);
    std::stable_sort(entry.heard.begin(), entry.heard.end(),
                     [](const HeardSegment& a, const HeardSegment& b) {
                       return a.segment.start < b.segment.start;
                     });
    std::vector<Segment> segments;
    std::vector<std::vector<decoder::AlignedWord>> aligned;
    for (HeardSegment& heard : entry.heard) {
      segments.push_back(std::move(heard.segment));
      aligned.push_back(std::move(heard.words));
    }
    std::move(entry.rejected.begin(), entry.rejected.end(),
              std::back_inserter(transcript_.rejected));
    if (policy_.needs_words()) time_words(segments, std::move(aligned), start, end);
    drop_empty(segments);
    if (window.overlaps_previous)
      join_overlap(model_.tokenizer, policy_.language(), start, open_.end, open_.segments,
                   segments);
    flush();
    open_ = {std::move(segments), start, end, true};
    if (window.reason != dsp::WindowEnd::kFull) flush();
    if (events_.progress) events_.progress(end);
  }
}

void WindowedTranscript::time_words(std::vector<Segment>& segments,
                                    std::vector<std::vector<decoder::AlignedWord>> aligned,
                                    double start, double end) {
  const double last_speech = !open_.segments.empty() ? open_.segments.back().end : last_speech_;
  add_words(segments, model_.tokenizer, std::move(aligned),
            {start, end, last_speech, policy_.language()});
  const double threshold = options_.hallucination_silence_threshold;
  if (threshold < 0) return;
  const HeardWindow window{start, end, end, last_speech};
  for (size_t i = 0; (i = find_hallucination(segments, i, window, threshold)) < segments.size();) {
    reject(segments[i].start, segments[i].end, std::string(text::strip(segments[i].text)),
           "hallucination");
    segments.erase(segments.begin() + static_cast<int64_t>(i));
  }
}

void WindowedTranscript::reject(double start, double end, std::string text, std::string reason) {
  transcript_.rejected.push_back({start, end, std::move(text), std::move(reason)});
}

void WindowedTranscript::flush() {
  if (!std::exchange(open_.waits, false)) return;
  for (Segment& segment : std::exchange(open_.segments, {})) {
    last_speech_ = segment.end;
    deliver(std::move(segment), options_.word_timestamps, transcript_, events_);
  }
  if (events_.window) events_.window(open_.start, open_.end);
}

void WindowedTranscript::forget() {
  transcript_.text.clear();
  transcript_.rejected.clear();
  std::vector<Segment>& segments = transcript_.segments;
  if (segments.size() > 1) segments.erase(segments.begin(), segments.end() - 1);
}

Transcript WindowedTranscript::finish(const WindowSource::Summary& summary) {
  flush();
  transcript_.duration = seconds(summary.samples);
  transcript_.language = policy_.language();
  if (!policy_.detects_language()) transcript_.language_probability = 1;
  transcript_.notices = summary.notices;
  for (std::string& notice : policy_.notices()) transcript_.notices.push_back(std::move(notice));
  for (const auto& [start, end] : summary.skipped)
    transcript_.rejected.push_back({seconds(start), seconds(end), "", "vad"});
  std::stable_sort(transcript_.rejected.begin(), transcript_.rejected.end(),
                   [](const Rejected& a, const Rejected& b) { return a.start < b.start; });
  return std::move(transcript_);
}

}  // namespace parley::pipeline
