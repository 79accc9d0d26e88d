#include "parley/pipeline/tts/synthesizer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "parley/core/base/bounded_queue.h"
#include "parley/core/base/error.h"
#include "parley/core/base/stopwatch.h"
#include "parley/core/model/voices.h"
#include "parley/core/nn/context.h"
#include "parley/decoder/mel_generator.h"
#include "parley/dsp/resampler.h"
#include "parley/dsp/time_stretch.h"
#include "parley/pipeline/engine.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/text/spoken/utterances.h"
#include "parley/text/text_decoder.h"

namespace parley::pipeline {

namespace {

constexpr size_t kQueuedUtterances = 4;  // ahead of the one that is spoken
constexpr size_t kQueuedBlocks = 32;     // of samples that wait for the writer: some 15 s
constexpr size_t kReadBytes = 4096;
constexpr int kParagraphPause = 600;                          // ms
constexpr int kLongPause = 10;                                // reads without text: half a second
constexpr auto kLongestCall = std::chrono::milliseconds(50);  // of the engine, about
constexpr int kMaxHalvings = 6;  // of an utterance that the voice cannot follow

using Samples = std::vector<float>;
using VocoderStream = std::variant<vocoder::HifiGanStream, vocoder::GriffinLimStream>;

VocoderStream stream_of(const VoiceModel& model) {
  if (const auto* hifigan = std::get_if<vocoder::HifiGan>(&model.vocoder))
    return vocoder::HifiGanStream(*hifigan);
  return vocoder::GriffinLimStream(std::get<vocoder::GriffinLim>(model.vocoder));
}

// Reads text and cuts it into utterances, in a thread of its own.
class UtteranceSource {
 public:
  UtteranceSource(const VoiceModel& model, const SpeakOptions& options, const TextReader& reader)
      : thread_([this, &model, &options, &reader](const std::stop_token& stop) {
          try {
            read(model, options, reader, stop);
            queue_.close();
          } catch (...) {
            queue_.fail(std::current_exception());
          }
        }) {}
  ~UtteranceSource() {
    thread_.request_stop();
    queue_.close();
  }

  std::optional<text::Utterance> next() { return queue_.pop(); }
  // What its reader should know about the text: after the last utterance.
  const std::vector<std::string>& remarks() const { return remarks_; }
  void request_stop() {
    thread_.request_stop();
    queue_.close();
  }

 private:
  void read(const VoiceModel& model, const SpeakOptions& options, const TextReader& reader,
            const std::stop_token& stop) {
    const auto size_of = [&](std::string_view spoken) {
      return model.pieces.encode(spoken).size();
    };
    text::UtteranceStream utterances(
        model.spoken_form,
        {.ssml = options.ssml,
         .max_size = static_cast<size_t>(model.encoder.learned_size()),
         .size_of = size_of,
         .letter_names = model.encoder.letter_names(),
         .sentence_pause_ms = options.sentence_pause_ms,
         .paragraph_pause_ms = std::max(kParagraphPause, options.sentence_pause_ms),
         .where = options.where});
    const auto pass_on = [&] {
      while (auto utterance = utterances.next()) {
        if (!queue_.push(std::move(*utterance))) return false;
      }
      return true;
    };
    text::TextDecoder decoder(options.where);
    std::array<char, kReadBytes> buffer;
    for (int silent = 0; !stop.stop_requested();) {
      const std::optional<size_t> count = reader(buffer, stop);
      if (stop.stop_requested()) return;
      if (count == size_t{0}) break;
      silent = count ? 0 : std::min(silent + 1, kLongPause + 1);
      utterances.push(count ? decoder.push({buffer.data(), *count}) : decoder.pause());
      if (silent == 1) utterances.pause(text::Pause::kShort);
      if (silent == kLongPause) utterances.pause(text::Pause::kLong);
      if (!pass_on()) return;
    }
    if (stop.stop_requested()) return;
    utterances.push(decoder.finish());
    utterances.finish();
    if (pass_on()) remark(decoder, utterances);
  }

  void remark(const text::TextDecoder& decoder, const text::UtteranceStream& utterances) {
    if (!decoder.guessed().empty()) remarks_.push_back("it was read as " + decoder.guessed());
    if (!utterances.romanized().empty())
      remarks_.push_back("said as if in Latin letters: " + text::describe(utterances.romanized()));
    if (!utterances.unspeakable().empty()) {
      remarks_.push_back("left out what this voice cannot say: " +
                         text::describe(utterances.unspeakable()));
    }
  }

  std::vector<std::string> remarks_;  // written before the queue is closed, read afterwards
  BoundedQueue<text::Utterance> queue_{kQueuedUtterances};
  std::jthread thread_;  // last: uses the queue
};

// Gives samples to the writer, in a thread of its own.
class SampleSink {
 public:
  SampleSink(const SampleWriter& writer, std::stop_source& stop)
      : thread_([this, &writer, &stop] {
          try {
            while (const auto block = queue_.pop()) writer(*block);
          } catch (...) {
            error_ = std::current_exception();
            queue_.close();
            stop.request_stop();
          }
        }) {}
  ~SampleSink() { close(); }

  void push(Samples samples) {
    if (!samples.empty()) queue_.push(std::move(samples));
  }
  // Waits until all is written; throws what the writer threw.
  void finish() {
    close();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  // Nothing that waits is written any more.
  void abandon() {
    queue_.close();
    while (queue_.try_pop()) {
    }
  }

 private:
  void close() {
    queue_.close();
    if (thread_.joinable()) thread_.join();
  }

  BoundedQueue<Samples> queue_{kQueuedBlocks};
  std::exception_ptr error_;
  std::thread thread_;  // last: uses the queue
};

// One call of speak(): the computing between the two queues.
class Speech {
 public:
  Speech(const VoiceModel& model, Engine& engine, std::stop_token stop, const SpeakOptions& options,
         const SpeakEvents& events, SpeakTimings& timings, SampleSink& sink)
      : model_(model),
        engine_(engine),
        stop_(std::move(stop)),
        options_(options),
        events_(events),
        timings_(timings),
        sink_(sink),
        generator_(model.decoder),
        postnet_(model.postnet),
        vocoder_(stream_of(model)) {
    const stage::Stage& voices = model.files.stage("voices");
    const std::string name = options.voice.empty() ? stage::default_voice(voices) : options.voice;
    const std::vector<float> vector = stage::voice_vector(voices, name);
    compute([&](nn::Context& ctx) { speaker_ = model.decoder.speaker(ctx, vector); });
    const int rate = model.sample_rate();
    rate_ = options.sample_rate > 0 ? options.sample_rate : rate;
    if (rate_ != rate) resampler_.emplace(rate, rate_);
  }

  void say(const text::Utterance& utterance) {
    const double tempo = options_.speed * utterance.rate;
    if (tempo != 1) stretch_.emplace(model_.sample_rate(), tempo);
    if (!utterance.spoken.empty()) say_words(utterance.spoken);
    if (stretch_) {
      Samples rest;
      stretch_->finish(rest);
      stretch_.reset();
      resample_and_deliver(std::move(rest));
    }
    const auto silence = static_cast<size_t>(utterance.pause_after_ms) *
                         static_cast<size_t>(model_.sample_rate()) / 1000;
    if (silence > 0) resample_and_deliver(Samples(silence, 0.f));
  }

  void finish() {
    Samples rest;
    if (resampler_) resampler_->finish(rest);
    deliver(std::move(rest));
  }

 private:
  // When the guard gives up, the words that were not said yet are said anew: the rest, or, when it
  // is all of them, in halves, down to single words.
  void say_words(const std::string& spoken, int halvings = 0) {
    const std::vector<WordBegin> words = words_of(spoken);
    if (halvings == 0) ++timings_.sentences;
    const decoder::MelReport report =
        say_piece(spoken, halvings < kMaxHalvings ? words : std::vector<WordBegin>());
    const auto rest = std::ranges::find(words, report.said, &WordBegin::token);
    if (rest != words.end()) return say_words(spoken.substr(rest->byte), halvings + 1);
    if (report.said == 0) {
      for (const std::string_view half : text::halves(spoken))
        say_words(text::closed(half, false), halvings + 1);
      return;
    }
    if (events_.notice && (report.retries > 0 || !report.problem.empty()))
      events_.notice({spoken, report.problem, report.retries});
  }

  struct WordBegin {
    size_t byte;    // in the spoken text
    int64_t token;  // in tokens_of() it
  };

  // All words after the first.
  std::vector<WordBegin> words_of(const std::string& spoken) const {
    std::vector<WordBegin> words;
    for (size_t at = spoken.find(' '); at != std::string::npos; at = spoken.find(' ', at + 1)) {
      const auto token = static_cast<int64_t>(model_.pieces.encode(spoken.substr(0, at)).size());
      words.push_back({at + 1, token});
    }
    return words;
  }

  decoder::MelReport say_piece(const std::string& spoken, const std::vector<WordBegin>& words) {
    const std::vector<int32_t> tokens = model_.tokens_of(spoken);
    begin(tokens, words);
    for (bool more = true; more;) {
      Samples samples;
      compute([&](nn::Context& ctx) {
        const auto begun = std::chrono::steady_clock::now();
        do {
          more = advance(ctx, samples);
        } while (more && samples.empty() &&
                 std::chrono::steady_clock::now() - begun < kLongestCall);
      });
      deliver_at_tempo(std::move(samples));
    }
    const decoder::MelReport& report = generator_.report();
    timings_.characters += static_cast<int64_t>(tokens.size()) - 1;
    timings_.steps += report.steps;
    timings_.retries += report.retries;
    return report;
  }

  void compute(const std::function<void(nn::Context&)>& work) {
    engine_.call(Urgency::kLive, stop_, work);
  }

  void begin(std::span<const int32_t> tokens, const std::vector<WordBegin>& words) {
    std::shared_ptr<const decoder::CrossState> cross;
    compute([&](nn::Context& ctx) {
      const nn::Scope scope(ctx);
      const Stopwatch watch(timings_.text_encoder);
      cross = model_.decoder.listen(ctx, model_.encoder.run(ctx, tokens));
    });
    std::vector<int64_t> begins;
    for (const WordBegin& word : words) begins.push_back(word.token);
    generator_.begin(std::move(cross), speaker_,
                     {.seed = options_.seed,
                      .sentence = sentence_++,
                      .guard = options_.guard,
                      .words = std::move(begins)});
    std::visit([](auto& stream) { stream.reset(); }, vocoder_);
    heard_ = false;
  }

  // A step of the mel decoder, and what can be made of its frames. False: the piece is over.
  bool advance(nn::Context& ctx, Samples& samples) {
    std::vector<float> mel, refined;
    bool more = false;
    {
      const Stopwatch watch(timings_.mel_decoder);
      more = generator_.advance(ctx, mel);
      heard_ = heard_ || !mel.empty();
      if (!mel.empty()) postnet_.push(ctx, mel, refined);
      if (!more && heard_) postnet_.finish(ctx, refined);
    }
    if (!heard_) return more;
    const Stopwatch watch(timings_.vocoder);
    const int64_t n_mels = model_.mel.n_mels;
    const auto frames = static_cast<int64_t>(refined.size()) / n_mels;
    const nn::Tensor rows(refined.data(), {frames, n_mels}, nn::DType::kF32);
    std::visit(
        [&](auto& stream) {
          if (frames > 0) stream.push(ctx, rows, samples);
          if (!more) stream.finish(ctx, samples);
        },
        vocoder_);
    return more;
  }

  void deliver_at_tempo(Samples samples) {
    if (stretch_ && !samples.empty()) {
      Samples stretched;
      stretch_->convert(samples, stretched);
      samples = std::move(stretched);
    }
    resample_and_deliver(std::move(samples));
  }

  void resample_and_deliver(Samples samples) {
    if (!resampler_ || samples.empty()) return deliver(std::move(samples));
    Samples converted;
    resampler_->convert(samples, converted);
    deliver(std::move(converted));
  }

  void deliver(Samples samples) {
    if (samples.empty()) return;
    if (timings_.audio_seconds == 0) {
      const std::chrono::duration<double, std::milli> since =
          std::chrono::steady_clock::now() - started_;
      timings_.time_to_first_audio_ms = since.count();
    }
    timings_.audio_seconds += static_cast<double>(samples.size()) / rate_;
    sink_.push(std::move(samples));
  }

  const VoiceModel& model_;
  Engine& engine_;
  const std::stop_token stop_;
  const SpeakOptions& options_;
  const SpeakEvents& events_;
  SpeakTimings& timings_;
  SampleSink& sink_;
  decoder::MelGenerator generator_;
  decoder::PostnetStream postnet_;
  VocoderStream vocoder_;
  std::vector<float> speaker_;
  std::optional<dsp::TimeStretch> stretch_;  // of the utterance, when its tempo is not 1
  std::optional<dsp::Resampler> resampler_;
  int rate_ = 0;
  uint32_t sentence_ = 0;
  bool heard_ = false;  // of the piece; else it was given up at once
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace

std::shared_ptr<const VoiceModel> load_voice_model(const std::filesystem::path& folder,
                                                   nn::Precision precision, int threads) {
  return VoiceModel::load(folder, precision, threads);
}

Synthesizer::Synthesizer(std::shared_ptr<const VoiceModel> model, int threads)
    : Synthesizer(std::move(model), start_engine(threads)) {}

Synthesizer::Synthesizer(std::shared_ptr<const VoiceModel> model, std::shared_ptr<Engine> engine)
    : model_(std::move(model)), engine_(std::move(engine)) {}

Synthesizer::~Synthesizer() = default;

void Synthesizer::set_observer(nn::Observer* observer) { engine_->set_observer(observer); }

void Synthesizer::speak(const TextReader& reader, const SampleWriter& writer,
                        const SpeakOptions& options, const SpeakEvents& events,
                        const std::stop_token& stop) {
  timings_ = {};
  const Stopwatch wall(timings_.wall_seconds);
  std::stop_source stopping;  // by the caller, or by a writer that failed
  SampleSink sink(writer, stopping);
  Speech speech(*model_, *engine_, stopping.get_token(), options, events, timings_, sink);
  UtteranceSource source(*model_, options, reader);
  const auto stop_all = [&] {
    stopping.request_stop();
    source.request_stop();
    sink.abandon();
  };
  const std::stop_callback from_caller(stop, stop_all);
  try {
    while (const auto utterance = source.next()) {
      if (stopping.stop_requested()) throw Stopped();
      speech.say(*utterance);
    }
    if (stopping.stop_requested()) throw Stopped();
    speech.finish();
  } catch (const Stopped&) {
    if (!stop.stop_requested()) sink.finish();  // throws what stopped the writer
    throw;
  } catch (...) {
    sink.abandon();
    throw;
  }
  sink.finish();
  if (events.remark) std::ranges::for_each(source.remarks(), events.remark);
  if (timings_.sentences == 0 && timings_.audio_seconds == 0)
    throw Error(options.where, "there is nothing in it that can be said");
}

std::vector<float> speak(Synthesizer& synthesizer, std::string_view text,
                         const SpeakOptions& options, const std::stop_token& stop) {
  std::vector<float> all;
  const auto reader = [&](std::span<char> buffer, const std::stop_token&) {
    const size_t count = std::min(buffer.size(), text.size());
    std::copy_n(text.begin(), count, buffer.begin());
    text.remove_prefix(count);
    return count;
  };
  synthesizer.speak(
      reader,
      [&](std::span<const float> samples) {
        all.insert(all.end(), samples.begin(), samples.end());
      },
      options, {}, stop);
  return all;
}

}  // namespace parley::pipeline
