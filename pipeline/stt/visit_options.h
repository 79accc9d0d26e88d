// The list of options of speech to text: command line, checks, the recipe of --resume and every
// other interface read it here, so that a name, a range and a meaning are said once.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "parley/pipeline/stt/transcribe_options.h"

namespace parley::pipeline {

enum class OptionGroup {
  kModel,
  kOutput,
  kAudio,
  kDecoding,
  kMachine,
  kProgram
};  // kProgram: not for users of the command line

struct OptionInfo {
  std::string_view name;  // "best_of"; on the command line --best-of
  OptionGroup group;
  std::string_view help;
  bool written = true;  // whether it decides what is written; false: how fast
};

// Numbers from least to most; of lists each. off: a value outside that means no.
template <typename Number>
struct Range {
  Number least, most;
  std::optional<Number> off = std::nullopt;

  bool holds(Number value) const { return value == off || (value >= least && value <= most); }
};
template <typename Number>
Range(Number, Number) -> Range<Number>;
template <typename Number>
Range(Number, Number, Number) -> Range<Number>;

template <typename Value>
struct Choice {
  std::string_view name;
  Value value;
};
template <typename Value>
Choice(const char*, Value) -> Choice<Value>;
inline constexpr std::array kStrategies = {Choice{"windows", Strategy::kWindows},
                                           Choice{"sequential", Strategy::kSequential}};
inline constexpr std::array kVadKinds = {
    Choice{"auto", VadKind::kAuto}, Choice{"silero", VadKind::kSilero},
    Choice{"webrtc", VadKind::kWebrtc}, Choice{"off", VadKind::kOff}};
inline constexpr std::array kTasks = {Choice{"transcribe", Task::kTranscribe},
                                      Choice{"translate", Task::kTranslate}};

// What else an option may hold.
struct Flag {};       // bool
struct Text {};       // std::string, UTF-8
struct TextList {};   // of them
struct Languages {};  // codes of text/languages.h, one or a list

inline constexpr Range kBeams{1, 32};            // of any decoding
inline constexpr Range kTemperatures{0.f, 2.f};  // each above the one before

// visit(info, value, what it may hold) for every option of `options`, a TranscribeOptions, const or
// not.
template <typename Options, typename Visitor>
void visit_options(Options& options, Visitor&& visit) {
  using Group = OptionGroup;
  Options& o = options;
  visit({"language", Group::kModel, "Spoken language, several to choose from, or auto"}, o.language,
        Languages{});
  visit({"languages", Group::kProgram, "Languages to choose from"}, o.languages, Languages{});
  visit({"task", Group::kModel, "Transcribe, or translate into English"}, o.task, kTasks);

  visit({"word_timestamps", Group::kOutput, "Time every word: in json; highlighted in srt, vtt"},
        o.word_timestamps, Flag{});
  visit({"timestamps", Group::kProgram, "Times of segments by the model"}, o.timestamps, Flag{});

  visit({"strategy", Group::kAudio, "Cut at silences, or the published algorithm"}, o.strategy,
        kStrategies);
  visit({"vad", Group::kAudio, "Voice detector; auto: silero, sequential: off"}, o.vad, kVadKinds);
  visit({"endpoint_silence", Group::kAudio, "Silence that ends a window, in seconds"},
        o.endpoint_silence, Range{0.1, 3600.0});

  visit({"beam", Group::kDecoding, "Beams at temperature 0; 1: greedy"}, o.beam, kBeams);
  visit({"best_of", Group::kDecoding, "Samples above temperature 0"}, o.best_of, kBeams);
  visit({"patience", Group::kDecoding, "Stop after beam x patience finished beams"}, o.patience,
        Range{0.1f, 100.f});
  visit({"length_penalty", Group::kDecoding, "Rank by length^alpha  [by mean log-probability]"},
        o.length_penalty, Range{0.f, 1.f, -1.f});
  visit({"temperature", Group::kDecoding, "Try these until thresholds hold  [0,0.2,0.4,0.6,0.8,1]"},
        o.temperatures, kTemperatures);
  visit({"seed", Group::kDecoding, "Random seed of samples"}, o.seed,
        Range{uint64_t{0}, UINT64_MAX});
  visit({"prompt", Group::kDecoding, "Text that the model takes for what came before"}, o.prompt,
        Text{});
  visit({"hotwords", Group::kDecoding, "Words and phrases to expect"}, o.hotwords, TextList{});
  visit({"hotword_boost", Group::kDecoding, "Log-probability added to each of their tokens"},
        o.hotword_boost, Range{0.f, 20.f});
  visit({"condition_on_previous_text", Group::kDecoding,
         "Prompt with earlier text (sequential)  [on]"},
        o.condition_on_previous_text, Flag{});
  visit(
      {"no_speech_threshold", Group::kDecoding, "Silence above this, if --logprob-threshold fails"},
      o.no_speech_threshold, Range{0.f, 1.f});
  visit({"logprob_threshold", Group::kDecoding, "Retry below this mean log-probability"},
        o.logprob_threshold, Range{-1000.f, 0.f});
  visit({"hallucination_silence_threshold", Group::kDecoding,
         "Drop unlikely words in so many seconds of silence  [off]"},
        o.hallucination_silence_threshold, Range{0.0, 60.0, -1.0});
  visit({"compression_ratio_threshold", Group::kDecoding, "Retry text more repetitive than this"},
        o.compression_ratio_threshold, Range{0.f, 1000.f});

  visit({"batch", Group::kMachine, "Windows decoded together", /*written=*/false}, o.batch,
        Range{1, 64});
}

}  // namespace parley::pipeline
