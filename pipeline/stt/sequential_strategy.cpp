#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"
#include "parley/pipeline/stt/decode_policy.h"
#include "parley/pipeline/stt/hallucinations.h"
#include "parley/pipeline/stt/mel_spool.h"
#include "parley/pipeline/stt/segments.h"
#include "parley/pipeline/stt/speech_map.h"
#include "parley/pipeline/stt/strategies.h"
#include "parley/pipeline/stt/vad_model.h"
#include "parley/pipeline/stt/window_source.h"
#include "parley/pipeline/stt/word_times.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

constexpr double kFrame = 0.01;  // seconds of a log-mel frame
// In frames:
constexpr int64_t kPause = 50;      // shorter ones are within speech
constexpr int64_t kUnheard = 100;   // so much speech without text is heard again
constexpr int64_t kBefore = 20;     // from so far before it
constexpr int64_t kProgress = 100;  // when that is so much later than what was heard

class SequentialRun {
 public:
  SequentialRun(SpeechEngine& engine, const TranscribeOptions& options,
                const TranscribeEvents& events, const std::stop_token& stop, Timings& timings)
      : model_(engine.model()),
        stop_(stop),
        options_(options),
        events_(events),
        timings_(timings),
        policy_(model_, options),
        listener_(engine, Urgency::kFile, stop),
        mel_(model_.encoder.n_mels()),
        detects_speech_(detects_speech(options)) {}

  Transcript run(dsp::AudioReader audio) {
    read(audio);
    said_ = policy_.initial_prompt();
    if (policy_.needs_language()) detect_language();
    int64_t seek = 0;
    for (const Stretch& clip : clips_) {
      for (seek = std::max(seek, clip.start); seek < clip.end;) {
        throw_if_stopped();
        // A window whose only pair of timestamps stands at its start would be heard for ever.
        seek = std::max(hear(seek, clip.end), seek + 1);
        if (events_.progress)
          events_.progress(static_cast<double>(std::min(seek, mel_.frames())) * kFrame);
      }
    }
    transcript_.language = policy_.language();
    if (!policy_.detects_language()) transcript_.language_probability = 1;
    for (std::string& notice : policy_.notices()) transcript_.notices.push_back(std::move(notice));
    std::stable_sort(transcript_.rejected.begin(), transcript_.rejected.end(),
                     [](const Rejected& a, const Rejected& b) { return a.start < b.start; });
    return std::move(transcript_);
  }

 private:
  void throw_if_stopped() const {
    if (stop_.stop_requested()) throw Stopped();
  }

  // Hears the window that begins at frame `seek`, at most to `end`. Returns where the next begins.
  int64_t hear(int64_t seek, int64_t end) {
    const int64_t size = std::min(model_.encoder.frames(), end - seek);
    const double start = static_cast<double>(seek) * kFrame;
    const double length = static_cast<double>(size) * kFrame;
    const auto cross = listen(seek, size);
    const bool speech = !uncovered(speech_, {}, {seek, seek + size}, kUnheard).empty();
    const Decoded decoded = decode(cross, static_cast<uint64_t>(seek), speech);
    const decoder::DecodeResult& result = decoded.result;
    ++timings_.windows;
    if (policy_.is_silence(result)) {
      const int64_t next = hear_again({}, {seek, seek + size}).value_or(seek + size);
      reject({seek, next}, policy_.text_of(result.tokens), "no_speech");
      return next;
    }
    WindowSegments window =
        segment_window(model_.tokenizer, result, start, length, Unfinished::kDrop);
    int64_t next = seek + frames_in(window.advance);
    if (policy_.needs_words()) {
      add_words_to(window, cross, start, size);
      if (const auto words = leading_silence(window, start)) return frames_in(*words);
      next = drop_hallucinations(window, seek, size, after_words(window, seek, size, next));
    }
    drop_empty(window.segments);
    next = leave_to_next(window.segments, {seek, next});
    for (Segment& segment : window.segments) {
      said_.insert(said_.end(), segment.tokens.begin(), segment.tokens.end());
      keep_inside(segment, std::min(start + length, transcript_.duration));
      deliver(std::move(segment), options_.word_timestamps, transcript_, events_);
    }
    if (!options_.condition_on_previous_text || result.temperature > 0.5f || decoded.misled)
      prompt_from_ = said_.size();
    return next;
  }

  // Where speech begins that the window leaves out, unless it was left out once before.
  std::optional<int64_t> hear_again(const std::vector<Segment>& segments, Stretch window) {
    for (const Stretch& left : uncovered(speech_, segments, window, kUnheard)) {
      const int64_t from = std::max(left.start - kBefore, window.start);
      if (from < window.start + kProgress || from < heard_twice_) continue;
      heard_twice_ = window.end;
      return from;
    }
    return std::nullopt;
  }

  // The window is over. When it leaves speech out, the next begins there, and hears what follows
  // again too; what is left out for good is reported.
  int64_t leave_to_next(std::vector<Segment>& segments, Stretch window) {
    if (const auto again = hear_again(segments, window)) {
      std::erase_if(segments, [&](const Segment& segment) {
        return frames_in(segment.start) >= *again + kBefore;
      });
      window.end = segments.empty() ? *again : std::max(*again, frames_in(segments.back().end));
    }
    for (const Stretch& left : uncovered(speech_, segments, window, kUnheard))
      reject(left, "", "unheard");
    return window.end;
  }

  void reject(Stretch part, std::string text, const char* reason) {
    transcript_.rejected.push_back({static_cast<double>(part.start) * kFrame,
                                    static_cast<double>(part.end) * kFrame, std::move(text),
                                    reason});
  }

  // A model may give times after the end of the sound.
  static void keep_inside(Segment& segment, double end) {
    const auto cut = [end](auto& span) {
      span.start = std::min(span.start, end);
      span.end = std::min(span.end, end);
    };
    cut(segment);
    for (Word& word : segment.words) cut(word);
  }

  // Spools the raw log-mel of the whole input, and finds its maximum and its speech.
  void read(dsp::AudioReader& audio) {
    dsp::LogMelStream stream(model_.log_mel);
    std::optional<dsp::SpeechSegmenter> speech;
    if (detects_speech_) speech.emplace(frame_classifier(options_));
    std::vector<float> block(dsp::kSampleRate * 4);
    std::vector<float> frames;
    size_t count = 1;
    while (count > 0) {
      throw_if_stopped();
      {
        const Stopwatch watch(timings_.decode_audio);
        count = audio.read(block);
      }
      if (speech) {
        const Stopwatch watch(timings_.vad);
        count > 0 ? speech->push(std::span(block).first(count)) : speech->finish();
        while (speech->next_window()) continue;  // this strategy has its own
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
    find_clips(speech ? stretches(speech->speech_in(0, speech->position()))
                      : std::vector<Stretch>{});
  }

  // With a detector only the surroundings of speech are listened to, as openai/whisper listens to
  // its clip_timestamps.
  void find_clips(const std::vector<Stretch>& speech) {
    const int64_t content = mel_.frames();
    clips_ = {{0, content}};
    if (!detects_speech_) return;
    clips_ = padded(speech, frames_in(dsp::PlannerOptions().padding),
                    frames_in(options_.endpoint_silence), content);
    speech_ = padded(speech, 0, kPause, content);
    for (const Stretch& gap : between(clips_, content)) reject(gap, "", "vad");
    if (!transcript_.rejected.empty() && transcript_.rejected.back().end >= content * kFrame)
      transcript_.rejected.back().end = transcript_.duration;
  }

  // In the windows with which listening begins.
  void detect_language() {
    LanguageDetection detection = policy_.language_detection();
    std::shared_ptr<const decoder::CrossState> first;
    for (const Stretch& clip : clips_) {
      for (int64_t seek = clip.start; seek < clip.end && !detection.sure();) {
        throw_if_stopped();
        const int64_t size = std::min(model_.encoder.frames(), clip.end - seek);
        const auto cross = listen(seek, size);
        const Stopwatch watch(timings_.decoder);
        listener_.call(
            [&](nn::Context& ctx) { detection.hear(policy_.hear_language(ctx, cross)); });
        if (!first) first = cross;
        seek += size;
      }
    }
    first_ = std::move(first);
    policy_.set_language(detection.best().code);
    transcript_.language_probability = detection.best().probability;
  }

  // Frames [seek, seek + size) normalized by the file's maximum; zeros after them, as the reference
  // pads.
  std::shared_ptr<const decoder::CrossState> listen(int64_t seek, int64_t size) {
    // The first window was heard when the language was detected.
    if (auto first = std::exchange(first_, nullptr); first && seek == clips_.front().start)
      return first;
    const int64_t frames = model_.encoder.frames(), n_mels = model_.encoder.n_mels();
    std::vector<float> window(static_cast<size_t>(frames * n_mels), 0.f);
    {
      const Stopwatch watch(timings_.frontend);
      const nn::Tensor content(window.data(), {size, n_mels}, nn::DType::kF32);
      mel_.read(seek, content);
      dsp::normalize(content, maximum_);
    }
    const Stopwatch watch(timings_.encoder);
    return listener_.encode(window);
  }

  struct Decoded {
    decoder::DecodeResult result = {};
    bool misled = false;  // by the text before
  };
  // speech: the detector found some in the window.
  Decoded decode(const std::shared_ptr<const decoder::CrossState>& cross, uint64_t window,
                 bool speech) {
    const Stopwatch watch(timings_.decoder);
    std::span<const int32_t> prompt = std::span(said_).subspan(prompt_from_);
    Decoded decoded;
    for (int attempt = 0; attempt < policy_.attempts();) {
      decoded.result = listener_.decode(policy_.task(cross, prompt, attempt, window));
      timings_.tokens += static_cast<int64_t>(decoded.result.tokens.size());
      if (detects_speech_ && policy_.misled(decoded.result, prompt, speech)) {
        decoded.misled = true;
        prompt = {};
        attempt = 0;
        continue;
      }
      if (policy_.accepts(decoded.result, speech)) break;
      ++attempt;
    }
    return decoded;
  }

  static int64_t frames_in(double seconds) { return std::lround(seconds / kFrame); }

  void add_words_to(WindowSegments& window, const std::shared_ptr<const decoder::CrossState>& cross,
                    double start, int64_t size) {
    const Stopwatch watch(timings_.decoder);
    const double length = static_cast<double>(size) * kFrame;
    std::vector<std::vector<decoder::AlignedWord>> aligned;
    listener_.call([&](nn::Context& ctx) {
      aligned = decoder::align_words(ctx, model_.decoder, model_.tokenizer,
                                     policy_.align_task(cross, window.segments, length));
    });
    add_words(window.segments, model_.tokenizer, std::move(aligned),
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

  const SpeechModel& model_;
  const std::stop_token& stop_;
  const TranscribeOptions& options_;
  const TranscribeEvents& events_;
  Timings& timings_;
  DecodePolicy policy_;
  Listener listener_;
  MelSpool mel_;
  float maximum_ = 0;
  bool detects_speech_;
  std::vector<Stretch> clips_;   // to listen to
  std::vector<Stretch> speech_;  // known; none without a detector
  int64_t heard_twice_ = 0;      // speech before this frame is not heard again
  std::vector<int32_t> said_;    // all tokens so far
  size_t prompt_from_ = 0;
  std::shared_ptr<const decoder::CrossState> first_;  // of the first window, when it is known
  double last_speech_ = 0;                            // end of the last word, when words are timed
  Transcript transcript_;
};

}  // namespace

Transcript transcribe_sequential(SpeechEngine& engine, dsp::AudioReader audio,
                                 const TranscribeOptions& options, const TranscribeEvents& events,
                                 const std::stop_token& stop, Timings& timings) {
  return SequentialRun(engine, options, events, stop, timings).run(std::move(audio));
}

}  // namespace parley::pipeline
