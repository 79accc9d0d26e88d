// The command line of `transcribe`: what it may say, and what it said.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "parley/core/nn/weight.h"
#include "parley/dsp/audio_reader.h"
#include "parley/pipeline/live/live_intake.h"
#include "parley/pipeline/output/writers.h"
#include "parley/pipeline/stt/transcriber.h"

namespace parley::cli {

// What --live and --mic say.
struct LiveArguments {
  bool live = false;  // also when a microphone is meant
  bool microphone = false;
  std::string device;     // empty: the default one
  bool realtime = false;  // the file is played at its own speed
  std::optional<pipeline::Overflow> overflow;
  std::optional<bool> front_end;
};

struct TranscribeArguments {
  std::vector<std::string> inputs;  // as given: files, folders, "-"
  std::string jobs_file;            // further inputs, one on a line; "-": standard input
  std::string model;                // name or folder; empty: the default one
  std::vector<const pipeline::Format*> formats = {pipeline::find_format("txt")};
  std::filesystem::path output;  // folder; empty: standard output
  pipeline::TranscribeOptions options;
  nn::Precision precision = nn::Precision::kAuto;
  int threads = 0;  // 0: all processors
  double offset = 0;
  double duration = -1;  // negative: to the end
  pipeline::SubtitleRules subtitles;
  std::optional<dsp::RawFormat> raw;
  dsp::AudioOptions audio;
  bool resume = false;
  bool quiet = false;
  bool verbose = false;
  std::string timings;  // file, "-", or empty
  bool list_languages = false;
  bool list_microphones = false;
  LiveArguments live;
};

// Adds all options; parsing fills `arguments`, which must outlive the app, and throws UsageError
// for values that are unknown or out of range.
void add_transcribe_options(CLI::App& app, TranscribeArguments& arguments);

// After parsing. Sets the defaults that depend on other options. Throws UsageError for options that
// cannot be honoured together.
void check_transcribe_options(const CLI::App& app, TranscribeArguments& arguments);

// Throws UsageError when a model that knows English only is asked for something else.
void check_language(const TranscribeArguments& arguments, const pipeline::SpeechModel& model);

// Seconds of "90", "1.5", "2:30" or "01:02:03.5"; nothing for anything else.
std::optional<double> parse_time(const std::string& text);

}  // namespace parley::cli
