#include "parley/cli/speak/speak_options.h"

#include <unistd.h>

#include <algorithm>

#include "parley/cli/option_values.h"
#include "parley/cli/speak/audio_output.h"
#include "parley/dsp/time_stretch.h"

namespace parley::cli {

namespace {

void refuse(bool wrong, const std::string& problem) {
  if (wrong) throw UsageError(problem);
}

void add_voice_options(CLI::App& app, SpeakArguments& a) {
  app.option_defaults()->group("Voice");
  app.add_option("-m,--model", a.model, "Installed model or model folder  [the best installed]")
      ->type_name("NAME|DIR");
  app.add_option("-v,--voice", a.options.voice, "Voice of the model  [its first]")
      ->type_name("NAME");
  app.add_flag("--list-voices", a.list_voices, "Show the model's voices and exit");
  add_number(app, "--speed", a.options.speed, dsp::TimeStretch::kSlowest,
             dsp::TimeStretch::kFastest, "2 is twice as fast");
  add_number<uint64_t>(app, "--seed", a.options.seed, 0, UINT64_MAX,
                       "Random seed; another one, another delivery");
  add_number(app, "--sentence-pause", a.options.sentence_pause_ms, 0, 60000,
             "Milliseconds after a sentence");
  app.add_flag("--ssml", a.options.ssml, "The text is SSML: p s break say-as sub prosody rate");
}

void add_output_options(CLI::App& app, SpeakArguments& a) {
  app.option_defaults()->group("Output");
  app.add_option("-o,--output", a.output, ".wav .flac .ogg .opus .mp3; -: WAV on standard output")
      ->type_name("FILE");
  app.add_flag("--raw", a.raw, "Samples (s16le, mono) on standard output");
  app.add_flag("--play", a.play, "Through the sound device  [without -o on a terminal]");
  add_number(app, "--sample-rate", a.options.sample_rate, 1000, 192000, "Hz  [the model's]", false);
}

void add_machine_options(CLI::App& app, SpeakArguments& a) {
  app.option_defaults()->group("Machine");
  add_machine(app, a.precision, a.threads, "Arithmetic to compute in", /*int8=*/false);
  app.add_option("--timings", a.timings, "Write times as JSON; -: standard output")
      ->type_name("FILE");
  app.add_flag("--quiet", a.quiet, "No notices");
}

}  // namespace

void add_speak_options(CLI::App& app, SpeakArguments& a) {
  app.add_option_function<std::string>(
         "TEXT",
         [&a](const std::string& text) {
           a.text = text;
           a.has_text = true;
         },
         "What to say; -: standard input")
      ->type_name("");
  app.add_option("-f,--file", a.file, "Say what is in FILE; -: standard input")->type_name("FILE");
  add_voice_options(app, a);
  add_output_options(app, a);
  add_machine_options(app, a);
}

void check_speak_options(SpeakArguments& a) {
  if (a.list_voices) return;
  refuse(a.has_text && !a.file.empty(), "there is TEXT and a file; give one of them");
  refuse(!a.has_text && a.file.empty(), "there is nothing to say: give TEXT, -f FILE, or -");
  if (a.has_text && a.text == "-") a.file = "-";
  a.options.where = a.file.empty() ? "the text" : a.file == "-" ? "standard input" : a.file;
  refuse(a.file.empty() && a.text.find_first_not_of(" \t\r\n\v\f") == std::string::npos,
         "the text is empty");

  if (a.output.empty() && !a.raw && !a.play) {
    if (::isatty(STDOUT_FILENO) != 0) {
      a.play = true;
    } else {
      a.output = "-";
    }
  }
  const int outputs = (a.output.empty() ? 0 : 1) + (a.raw ? 1 : 0) + (a.play ? 1 : 0);
  refuse(outputs > 1, "-o, --raw and --play exclude each other");
  const bool standard_output = a.raw || a.output == "-";
  refuse(standard_output && a.timings == "-", "--timings -: the sound goes to standard output");
  refuse(standard_output && ::isatty(STDOUT_FILENO) != 0,
         "sound would go to the terminal; redirect it, or name a file with -o");
  if (!a.output.empty() && a.output != "-") check_audio_name(a.output, a.options.sample_rate);
}

}  // namespace parley::cli
