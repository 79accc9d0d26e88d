// Text to speech, end to end: text in, samples out, while the text still comes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/nn/precision.h"
#include "parley/pipeline/start_engine.h"

namespace parley::nn {
class Observer;
}

namespace parley::pipeline {

// A text-to-speech model, loaded (pipeline/tts/voice_model.h). Immutable: any number of
// Synthesizers may share one.
struct VoiceModel;

// Opens a model folder and packs its weights for this CPU. threads: for packing; 0: all processors.
// Throws Error: not a model, not text to speech, damaged, stages that are missing or do not fit.
std::shared_ptr<const VoiceModel> load_voice_model(const std::filesystem::path& folder,
                                                   nn::Precision precision = nn::Precision::kAuto,
                                                   int threads = 0);

// The voices of a text-to-speech model, the default one first; without loading it. Throws Error.
std::vector<std::string> list_voices(const std::filesystem::path& folder);

struct SpeakOptions {
  std::string voice = "";       // empty: the model's default
  uint64_t seed = 0;            // the same seed, threads and text give the same samples
  double speed = 1;             // 2 is twice as fast; 0.25 to 4
  int sample_rate = 0;          // of the samples; 0: the model's
  int sentence_pause_ms = 250;  // after a sentence; a paragraph's is at least this long
  bool ssml = false;            // the text is SSML (text/spoken/ssml.h)
  std::string where = "text";   // names the text in messages
  bool guard = true;            // decoder::MelOptions::guard
};

// More text: fills the buffer from its beginning and returns how many bytes; 0: the text is over;
// nothing: none came for a moment (50 ms). Then a sentence that ends with its line is spoken, and
// after ten moments all that there is. Called by a thread of the synthesizer; should return soon
// after `stop` was requested.
using TextReader =
    std::function<std::optional<size_t>(std::span<char> buffer, const std::stop_token& stop)>;
// The next samples, in [-1, 1]. Called by a thread of the synthesizer; may block, and so slow down
// the rest.
using SampleWriter = std::function<void(std::span<const float> samples)>;

// What is noticed about a sentence after it was spoken.
struct SpokenNotice {
  std::string spoken;  // the words
  std::string problem;
  int retries = 0;
};

struct SpeakEvents {
  std::function<void(const SpokenNotice&)> notice = {};  // called by the computing thread
  // About the text, at its end: how it was read, what was left out. Called by the same thread.
  std::function<void(const std::string&)> remark = {};
};

// Where the time went. Stages run beside reading and writing.
struct SpeakTimings {
  double wall_seconds = 0;
  double audio_seconds = 0;
  double text_encoder = 0;
  double mel_decoder = 0;  // postnet included
  double vocoder = 0;
  double time_to_first_audio_ms = 0;  // from the call to the first samples given to the writer
  int64_t sentences = 0;
  int64_t characters = 0;  // tokens, ends of sentences left out
  int64_t steps = 0;       // of the mel decoder
  int64_t retries = 0;     // by the guard
};

// Belongs to one thread at a time.
class Synthesizer {
 public:
  // With an engine of its own. threads: of the computing team; 0: all processors.
  explicit Synthesizer(std::shared_ptr<const VoiceModel> model, int threads = 0);
  // Computes on an engine that others use too.
  Synthesizer(std::shared_ptr<const VoiceModel> model, std::shared_ptr<Engine> engine);
  ~Synthesizer();

  // Speaks the text to its end: a sentence is spoken as soon as it is complete, and its first
  // samples are written before the rest of it is. Memory does not grow with the text. How reader
  // and writer cut their pieces changes no sample. Throws Error (no such voice, wrong SSML, nothing
  // that can be said), Stopped, or what the reader or the writer threw.
  void speak(const TextReader& reader, const SampleWriter& writer, const SpeakOptions& options = {},
             const SpeakEvents& events = {}, const std::stop_token& stop = {});

  // Who watches all that its engine computes, or null; must outlive the next calls.
  void set_observer(nn::Observer* observer);

  const SpeakTimings& timings() const { return timings_; }  // of the last call
  const VoiceModel& model() const { return *model_; }

 private:
  std::shared_ptr<const VoiceModel> model_;
  std::shared_ptr<Engine> engine_;
  SpeakTimings timings_;
};

// A whole text to samples at the model's rate or options.sample_rate.
std::vector<float> speak(Synthesizer& synthesizer, std::string_view text,
                         const SpeakOptions& options = {}, const std::stop_token& stop = {});

}  // namespace parley::pipeline
