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
    : model_(model), options_(options), events_(events), policy_(std::move(policy)) {}

int64_t WindowedTranscript::add(nn::Context& ctx, const dsp::Window& window,
                                std::shared_ptr<const decoder::CrossState> cross) {
  if (policy_.needs_language()) {
    const auto languages =
        decoder::detect_language(ctx, model_.decoder, model_.tokenizer.special(), cross);
    policy_.set_language(languages.at(0).code);
    transcript_.language_probability = languages.at(0).probability;
  }
  const int64_t number = next_window_++;
  windows_.emplace(number, Entry{.window = window, .cross = std::move(cross)});
  return number;
}

decoder::DecodeTask WindowedTranscript::task(int64_t number) const {
  const Entry& entry = windows_.at(number);
  return policy_.task(entry.cross, policy_.initial_prompt(), entry.attempt,
                      static_cast<uint64_t>(number));
}

bool WindowedTranscript::take(nn::Context& ctx, int64_t number, decoder::DecodeResult result) {
  Entry& entry = windows_.at(number);
  entry.result = std::move(result);
  if (!policy_.accepts(entry.result) && entry.attempt + 1 < policy_.attempts()) {
    ++entry.attempt;
    return false;
  }
  take_text(ctx, entry);
  return true;
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
  if (!model_.multilingual) transcript_.language_probability = 1;
  transcript_.notices = summary.notices;
  for (const auto& [start, end] : summary.skipped)
    transcript_.rejected.push_back({seconds(start), seconds(end), "", "vad"});
  std::stable_sort(transcript_.rejected.begin(), transcript_.rejected.end(),
                   [](const Rejected& a, const Rejected& b) { return a.start < b.start; });
  return std::move(transcript_);
}

}  // namespace parley::pipeline
