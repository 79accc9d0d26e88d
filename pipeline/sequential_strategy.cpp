#include <algorithm>
#include <cmath>
#include <optional>

#include "pipeline/decode_policy.h"
#include "pipeline/hallucinations.h"
#include "pipeline/mel_spool.h"
#include "pipeline/segments.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"
#include "pipeline/window_source.h"
#include "pipeline/word_times.h"
#include "text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kFrame = 0.01;  // seconds of a log-mel frame

class SequentialRun {
 public:
  SequentialRun(nn::Context& ctx, const SpeechModel& model, const TranscribeOptions& options,
                const TranscribeEvents& events, Timings& timings)
      : ctx_(ctx),
        model_(model),
        options_(options),
        events_(events),
        timings_(timings),
        policy_(model, options),
        search_(model.decoder, model.tokenizer.special(), policy_.sequences()),
        mel_(model.encoder.n_mels()) {}

  Transcript run(dsp::AudioReader audio) {
    read(audio);
    const int64_t content = mel_.frames();
    std::vector<int32_t> said = policy_.initial_prompt();  // all tokens so far
    size_t prompt_from = 0;
    for (int64_t seek = 0; seek < content;) {
      ctx_.throw_if_stopped();
      const int64_t size = std::min(model_.encoder.frames(), content - seek);
      const double start = static_cast<double>(seek) * kFrame;
      const auto cross = listen(seek, size);
      const decoder::DecodeResult result =
          decode(cross, std::span(said).subspan(prompt_from), static_cast<uint64_t>(seek));
      ++timings_.windows;
      if (policy_.is_silence(result)) {
        transcript_.rejected.push_back({start, start + static_cast<double>(size) * kFrame,
                                        policy_.text_of(result.tokens), "no_speech"});
        seek += size;
        continue;
      }
      WindowSegments window = segment_window(model_.tokenizer, result, start,
                                             static_cast<double>(size) * kFrame, Unfinished::kDrop);
      int64_t next = seek + frames_in(window.advance);
      if (policy_.needs_words()) {
        add_words_to(window, cross, start, size);
        if (const auto speech = leading_silence(window, start)) {
          seek = std::max(frames_in(*speech), seek + 1);
          continue;
        }
        next = drop_hallucinations(window, seek, size, after_words(window, seek, size, next));
      }
      drop_empty(window.segments);
      for (Segment& segment : window.segments) {
        said.insert(said.end(), segment.tokens.begin(), segment.tokens.end());
        deliver(std::move(segment), options_.word_timestamps, transcript_, events_);
      }
      if (!options_.condition_on_previous_text || result.temperature > 0.5f)
        prompt_from = said.size();
      // A window whose only pair of timestamps stands at its start would be heard for ever.
      seek = std::max(next, seek + 1);
      if (events_.progress) events_.progress(static_cast<double>(std::min(seek, content)) * kFrame);
    }
    transcript_.language = policy_.language();
    if (!model_.multilingual) transcript_.language_probability = 1;
    return std::move(transcript_);
  }

 private:
  // Spools the raw log-mel of the whole input, and finds its maximum.
  void read(dsp::AudioReader& audio) {
    dsp::LogMelStream stream(model_.log_mel);
    std::vector<float> block(dsp::kSampleRate * 4);
    std::vector<float> frames;
    size_t count = 1;
    while (count > 0) {
      ctx_.throw_if_stopped();
      {
        const Stopwatch watch(timings_.decode_audio);
        count = audio.read(block);
      }
      const Stopwatch watch(timings_.frontend);
      if (count > 0) {
        stream.push(std::span(block).first(count));
      } else {
        stream.finish();
      }
      frames.resize(static_cast<size_t>(stream.available() * model_.encoder.n_mels()));
      const nn::Tensor ready(frames.data(), {stream.available(), model_.encoder.n_mels()},
                             nn::DType::kF32);
      if (frames.empty()) continue;
      stream.pop(ready);
      mel_.append(ready);
    }
    maximum_ = stream.maximum();
    transcript_.duration = static_cast<double>(audio.samples_read()) / dsp::kSampleRate;
    transcript_.notices = notices_of(audio);
  }

  // Frames [seek, seek + size) normalized by the file's maximum; zeros after them, as the reference
  // pads.
  std::shared_ptr<const decoder::CrossState> listen(int64_t seek, int64_t size) {
    const nn::Scope scope(ctx_);
    const nn::Tensor mel = ctx_.allocate({model_.encoder.frames(), model_.encoder.n_mels()});
    {
      const Stopwatch watch(timings_.frontend);
      const nn::Tensor content = mel.slice_rows(0, size);
      mel_.read(seek, content);
      dsp::normalize(content, maximum_);
      std::fill(mel.row(size), mel.f32() + mel.shape.elements(), 0.f);
    }
    const Stopwatch watch(timings_.encoder);
    const nn::Tensor features =
        ctx_.allocate({model_.encoder.positions(), model_.encoder.d_model()});
    model_.encoder.run(ctx_, mel, features);
    return model_.decoder.listen(ctx_, features);
  }

  decoder::DecodeResult decode(const std::shared_ptr<const decoder::CrossState>& cross,
                               std::span<const int32_t> prompt, uint64_t window) {
    const Stopwatch watch(timings_.decoder);
    if (policy_.needs_language()) {
      const auto languages =
          decoder::detect_language(ctx_, model_.decoder, model_.tokenizer.special(), cross);
      policy_.set_language(languages.at(0).code);
      transcript_.language_probability = languages.at(0).probability;
    }
    decoder::DecodeResult result;
    for (int attempt = 0; attempt < policy_.attempts(); ++attempt) {
      result = std::move(
          decoder::decode(ctx_, search_, {policy_.task(cross, prompt, attempt, window)}).at(0));
      timings_.tokens += static_cast<int64_t>(result.tokens.size());
      if (policy_.accepts(result)) break;
    }
    return result;
  }

  static int64_t frames_in(double seconds) { return std::lround(seconds / kFrame); }

  void add_words_to(WindowSegments& window, const std::shared_ptr<const decoder::CrossState>& cross,
                    double start, int64_t size) {
    const Stopwatch watch(timings_.decoder);
    const double length = static_cast<double>(size) * kFrame;
    add_words(window.segments, model_.tokenizer,
              decoder::align_words(ctx_, model_.decoder, model_.tokenizer,
                                   policy_.align_task(cross, window.segments, length)),
              {start, start + length, last_speech_, policy_.language()});
  }

  // The window after one whose words are known begins after the last of them, unless no speech
  // follows.
  int64_t after_words(const WindowSegments& window, int64_t seek, int64_t size,
                      int64_t next) const {
    if (window.speech_ended || window.segments.empty()) return next;
    const double threshold = options_.hallucination_silence_threshold;
    const double last_word_end = end_of_words(window.segments);
    if (last_word_end <= static_cast<double>(seek) * kFrame) return next;
    const double left =
        static_cast<double>(seek + model_.encoder.frames()) * kFrame - last_word_end;
    return threshold >= 0 && left <= threshold ? seek + size : frames_in(last_word_end);
  }

  static double end_of_words(const std::vector<Segment>& segments) {
    const auto last = std::find_if(segments.rbegin(), segments.rend(),
                                   [](const Segment& segment) { return !segment.words.empty(); });
    return last != segments.rend() ? last->words.back().end : segments.back().end;
  }

  HeardWindow heard(double start, double end) const {
    return {start, end, start + static_cast<double>(model_.encoder.frames()) * kFrame,
            last_speech_};
  }

  std::optional<double> leading_silence(const WindowSegments& window, double start) const {
    const double threshold = options_.hallucination_silence_threshold;
    if (threshold < 0) return std::nullopt;
    return leading_silence_end(window.segments, heard(start, start), threshold);
  }

  // Drops the first hallucination and all that follows. Returns where to listen again, or `next`.
  int64_t drop_hallucinations(WindowSegments& window, int64_t seek, int64_t size, int64_t next) {
    const double threshold = options_.hallucination_silence_threshold;
    const double start = static_cast<double>(seek) * kFrame;
    std::vector<Segment>& segments = window.segments;
    if (threshold >= 0) {
      const size_t first = find_hallucination(
          segments, 0, heard(start, static_cast<double>(seek + size) * kFrame), threshold);
      if (first < segments.size()) {
        const double from = segments[first].start;
        next = frames_in(std::max(start + 1, from));
        const double content = static_cast<double>(mel_.frames()) * kFrame;
        if (content - segments[first].end < threshold) {  // nothing is left to listen to
          next = mel_.frames();
          std::string text;
          for (size_t i = first; i < segments.size(); ++i) text += segments[i].text;
          transcript_.rejected.push_back(
              {from, content, std::string(text::strip(text)), "hallucination"});
        }
        segments.resize(first);
      }
    }
    if (!segments.empty()) last_speech_ = end_of_words(segments);
    return next;
  }

  nn::Context& ctx_;
  const SpeechModel& model_;
  const TranscribeOptions& options_;
  const TranscribeEvents& events_;
  Timings& timings_;
  DecodePolicy policy_;
  decoder::Search search_;
  MelSpool mel_;
  float maximum_ = 0;
  double last_speech_ = 0;  // end of the last word, when words are timed
  Transcript transcript_;
};

}  // namespace

Transcript transcribe_sequential(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
                                 const TranscribeOptions& options, const TranscribeEvents& events,
                                 Timings& timings) {
  return SequentialRun(ctx, model, options, events, timings).run(std::move(audio));
}

}  // namespace parley::pipeline
