#include <algorithm>
#include <cmath>

#include "pipeline/decode_policy.h"
#include "pipeline/mel_spool.h"
#include "pipeline/segments.h"
#include "pipeline/stopwatch.h"
#include "pipeline/strategies.h"
#include "pipeline/window_source.h"

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
      for (Segment& segment : window.segments) {
        said.insert(said.end(), segment.tokens.begin(), segment.tokens.end());
        deliver(std::move(segment));
      }
      if (!options_.condition_on_previous_text || result.temperature > 0.5f)
        prompt_from = said.size();
      // A window whose only pair of timestamps stands at its start would be heard for ever.
      seek += std::max<int64_t>(1, std::lround(window.advance / kFrame));
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

  void deliver(Segment segment) {
    segment.id = static_cast<int64_t>(transcript_.segments.size());
    transcript_.text += segment.text;
    transcript_.segments.push_back(std::move(segment));
    if (events_.segment) events_.segment(transcript_.segments.back());
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
  Transcript transcript_;
};

}  // namespace

Transcript transcribe_sequential(nn::Context& ctx, const SpeechModel& model, dsp::AudioReader audio,
                                 const TranscribeOptions& options, const TranscribeEvents& events,
                                 Timings& timings) {
  return SequentialRun(ctx, model, options, events, timings).run(std::move(audio));
}

}  // namespace parley::pipeline
