// The command line of `speak`: what it may say, and what it said.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "parley/core/nn/weight.h"
#include "parley/pipeline/tts/synthesizer.h"

namespace parley::cli {

struct SpeakArguments {
  std::string text;  // to be spoken; "-": standard input
  bool has_text = false;
  std::string file;    // instead of the text; "-": standard input
  std::string model;   // name or folder; empty: the default one
  std::string output;  // file, or "-": WAV on standard output; empty: see play
  bool raw = false;    // s16le on standard output
  bool play = false;   // through the sound device
  bool list_voices = false;
  pipeline::SpeakOptions options;
  nn::Precision precision = nn::Precision::kAuto;
  int threads = 0;  // 0: all processors
  bool quiet = false;
  std::string timings;  // file, "-", or empty
};

// Adds all options; parsing fills `arguments`, which must outlive the app, and throws UsageError
// for values that are unknown or out of range.
void add_speak_options(CLI::App& app, SpeakArguments& arguments);

// After parsing: settles where text comes from and sound goes to. Throws UsageError for what cannot
// be honoured together.
void check_speak_options(SpeakArguments& arguments);

}  // namespace parley::cli
