#include "pipeline/windowed_transcript.h"

#include <algorithm>
#include <utility>

#include "pipeline/hallucinations.h"
#include "pipeline/overlap.h"
#include "pipeline/segments.h"
#include "pipeline/word_times.h"
#include "text/utf8.h"

namespace parley::pipeline {

namespace {

double seconds(int64_t samples) { return static_cast<double>(samples) / dsp::kSampleRate; }

}  // namespace

WindowedTranscript::WindowedTranscript(const SpeechModel& model, const TranscribeOptions& options,
                                       const TranscribeEvents& events, DecodePolicy policy)
    : model_(model), options_(options), events_(events), policy_(std::move(policy)) {
  if (policy_.needs_language()) detection_ = policy_.language_detection();
}

void WindowedTranscript::add(nn::Context& ctx, const dsp::Window& window,
                             std::shared_ptr<const decoder::CrossState> cross) {
  if (detection_) detection_->hear(policy_.hear_language(ctx, cross));
  ready_.push_back(next_window_);
  windows_.emplace(next_window_++, Entry{.window = window, .cross = std::move(cross)});
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
  return std::exchange(ready_, {});
}

decoder::DecodeTask WindowedTranscript::task(int64_t number) const {
  const Entry& entry = windows_.at(number);
  return policy_.task(entry.cross, prompt_of(entry), entry.attempt, static_cast<uint64_t>(number));
}

bool WindowedTranscript::take(nn::Context& ctx, int64_t number, decoder::DecodeResult result) {
  Entry& entry = windows_.at(number);
  entry.result = std::move(result);
  const bool detected = detects_speech(options_);  // in every window
  if (policy_.misled(entry.result, prompt_of(entry), detected)) {
    entry.prompted = false;
    entry.attempt = 0;
    return false;
  }
  if (!policy_.accepts(entry.result, detected) && entry.attempt + 1 < policy_.attempts()) {
    ++entry.attempt;
    return false;
  }
  take_text(ctx, entry);
  return true;
}

std::span<const int32_t> WindowedTranscript::prompt_of(const Entry& entry) const {
  return entry.prompted ? policy_.initial_prompt() : std::span<const int32_t>();
}

// The result is accepted: what follows needs its segments, and what the window sounded like only
// for their words.
void WindowedTranscript::take_text(nn::Context& ctx, Entry& entry) {
  const double start = seconds(entry.window.start);
  const double length = seconds(entry.window.end - entry.window.start);
  if (!policy_.is_silence(entry.result)) {
    entry.segments =
        segment_window(model_.tokenizer, entry.result, start, length, Unfinished::kKeep).segments;
  }
  if (policy_.needs_words()) {
    entry.aligned = decoder::align_words(ctx, model_.decoder, model_.tokenizer,
                                         policy_.align_task(entry.cross, entry.segments, length));
  }
  entry.cross.reset();
  entry.done = true;
}

// Takes over decoded windows in order of time.
void WindowedTranscript::settle() {
  while (!windows_.empty() && windows_.begin()->second.done) {
    Entry entry = std::move(windows_.begin()->second);
    windows_.erase(windows_.begin());
    const double start = seconds(entry.window.start);
    const double end = seconds(entry.window.end);
    std::vector<Segment> segments = std::move(entry.segments);
    if (policy_.is_silence(entry.result))
      reject(start, end, policy_.text_of(entry.result.tokens), "no_speech");
    if (policy_.needs_words()) time_words(segments, std::move(entry.aligned), start, end);
    drop_empty(segments);
    if (segments.empty() && detects_speech(options_) && !policy_.is_silence(entry.result))
      reject(start, end, "", "unheard");
    for (Segment& segment : segments) segment.end = std::min(segment.end, end);
    if (entry.window.overlaps_previous)
      join_overlap(model_.tokenizer, policy_.language(), start, open_.end, open_.segments,
                   segments);
    flush();
    open_ = {std::move(segments), start, end, true};
    if (entry.window.reason != dsp::WindowEnd::kFull) flush();
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
