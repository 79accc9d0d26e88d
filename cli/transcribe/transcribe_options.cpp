#include "parley/cli/transcribe/transcribe_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "parley/cli/option_values.h"
#include "parley/cli/program.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/visit_options.h"
#include "parley/text/languages.h"
#include "parley/text/utf8.h"

namespace parley::cli {

namespace {

using pipeline::OptionGroup;
using pipeline::OptionInfo;
using pipeline::Range;
using pipeline::Strategy;
using pipeline::Task;
using pipeline::TranscribeOptions;
using pipeline::VadKind;

void refuse(bool wrong, const std::string& problem) {
  if (wrong) throw UsageError(problem);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    items.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return items;
}

// One language, those among which it is, or auto.
void read_languages(const std::string& list, TranscribeOptions& options) {
  options.language.clear();
  options.languages.clear();
  if (list == "auto") return;
  for (const std::string& name : split(list)) {
    const auto code = text::language_code(name);
    if (!code) throw UsageError("unknown language '" + name + "'; --list-languages shows all");
    options.languages.emplace_back(*code);
  }
  if (options.languages.size() > 1) return;
  options.language = options.languages.front();
  options.languages.clear();
}

std::vector<const pipeline::Format*> read_formats(const std::string& list) {
  std::vector<const pipeline::Format*> formats;
  for (const std::string& name : split(list)) {
    const pipeline::Format* format = pipeline::find_format(name);
    if (format == nullptr) {
      std::string problem = "unknown format '" + name + "'; there are:";
      for (const auto& each : pipeline::formats()) problem.append(" ").append(each.name);
      throw UsageError(problem);
    }
    if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
      formats.push_back(format);
    }
  }
  return formats;
}

double read_time(const std::string& name, const std::string& text) {
  const auto seconds = parse_time(text);
  if (!seconds) throw UsageError(name + ": '" + text + "' is not seconds or hh:mm:ss");
  return *seconds;
}

int read_count(const std::string& name, const std::string& text, int most, const char* other) {
  const auto value = parse_number<int>(text);
  if (!value || *value < 1 || *value > most) {
    throw UsageError(name + ": '" + text + "' is not a number from 1 to " + shown(most) + other);
  }
  return *value;
}

// The options of one group, out of the list that all interfaces share.
class CommandLine {
 public:
  CommandLine(CLI::App& app, pipeline::OptionGroup group, TranscribeOptions& options)
      : app_(app), group_(group), options_(options) {}

  template <typename Number>
  void operator()(const OptionInfo& info, Number& value, const Range<Number>& range) const {
    if (info.group != group_) return;
    add_number(app_, name_of(info), value, range.least, range.most, std::string(info.help),
               value != range.off);
  }
  template <typename Number>
  void operator()(const OptionInfo& info, std::vector<Number>& values,
                  const Range<Number>& range) const {
    if (info.group != group_) return;
    add(info, "LIST", [&values, range, name = name_of(info)](const std::string& list) {
      values.clear();
      for (const std::string& item : split(list)) {
        const auto value = parse_number<Number>(item);
        refuse(!value || !range.holds(*value), name + ": '" + item + "' is not a number from " +
                                                   shown(range.least) + " to " + shown(range.most));
        refuse(!values.empty() && *value <= values.back(),
               name + ": each must be above the one before");
        values.push_back(*value);
      }
    });
  }
  template <typename Value, size_t kCount>
  void operator()(const OptionInfo& info, Value& value,
                  const std::array<pipeline::Choice<Value>, kCount>& choices) const {
    if (info.group != group_) return;
    std::vector<std::pair<std::string, Value>> named;
    for (const auto& [name, each] : choices) named.emplace_back(name, each);
    add_choice(app_, name_of(info), value, std::move(named), std::string(info.help));
  }
  void operator()(const OptionInfo& info, bool& value, pipeline::Flag) const {
    if (info.group != group_) return;
    const std::string name = name_of(info);
    app_.add_flag(value ? name + ",!--no" + name.substr(1) : name, value, std::string(info.help));
  }
  void operator()(const OptionInfo& info, std::string& value, pipeline::Text) const {
    if (info.group != group_) return;
    add(info, "TEXT", [&value, name = name_of(info)](const std::string& text) {
      refuse(!text::is_valid_utf8(text), name + " is not valid UTF-8");
      value = text;
    });
  }
  void operator()(const OptionInfo& info, std::vector<std::string>& values,
                  pipeline::TextList) const {
    if (info.group != group_) return;
    add(info, "LIST", [&values, name = name_of(info)](const std::string& list) {
      refuse(!text::is_valid_utf8(list), name + " is not valid UTF-8");
      values = split(list);
    });
  }
  // One of them, or several: read together.
  void operator()(const OptionInfo& info, std::string&, pipeline::Languages) const {
    if (info.group != group_) return;
    add(info, "LIST",
        [&options = options_](const std::string& list) { read_languages(list, options); });
  }
  void operator()(const OptionInfo&, std::vector<std::string>&, pipeline::Languages) const {}

 private:
  static std::string name_of(const OptionInfo& info) {
    std::string name = "--" + std::string(info.name);
    std::replace(name.begin(), name.end(), '_', '-');
    return name == "--language" ? "-l," + name : name;
  }
  template <typename Read>
  void add(const OptionInfo& info, const char* type, const Read& read) const {
    add_text(app_, name_of(info), type, read, std::string(info.help));
  }

  CLI::App& app_;
  pipeline::OptionGroup group_;
  TranscribeOptions& options_;
};

void add_shared(CLI::App& app, pipeline::OptionGroup group, TranscribeArguments& a) {
  pipeline::visit_options(a.options, CommandLine(app, group, a.options));
}

void add_input_options(CLI::App& app, TranscribeArguments& a) {
  app.add_option("INPUT", a.inputs, "Audio or video files, folders, or -: standard input")
      ->type_name("");
  app.option_defaults()->group("Model");
  app.add_option("-m,--model", a.model, "Installed model or model folder  [the best installed]")
      ->type_name("NAME|DIR");
  add_shared(app, OptionGroup::kModel, a);
  app.add_flag("--list-languages", a.list_languages, "Show language codes and exit");
}

void add_output_options(CLI::App& app, TranscribeArguments& a) {
  app.option_defaults()->group("Output");
  add_text(
      app, "-f,--format", "LIST", [&](const std::string& text) { a.formats = read_formats(text); },
      "One or more of txt,srt,vtt,json,jsonl,tsv,csv,lrc  [txt]");
  app.add_option("-o,--output", a.output,
                 "Folder; gets one file per input and format  [standard output]")
      ->type_name("DIR");
  add_shared(app, OptionGroup::kOutput, a);
  pipeline::SubtitleRules& rules = a.subtitles;
  add_number(app, "--max-line-width", rules.max_line_width, 1, 10000,
             "Break subtitle lines at N characters", false);
  add_number(app, "--max-line-count", rules.max_line_count, 1, 1000,
             "Lines in a subtitle; with a width, across segments", false);
  add_number(app, "--min-cue", rules.min_cue, 0.01, 3600.0,
             "Shortest time that a subtitle stays, in seconds", false);
  add_number(app, "--max-cue", rules.max_cue, 0.1, 3600.0, "Longest time of a subtitle, in seconds",
             false);
  app.add_flag("--resume", a.resume, "Skip inputs already done with this model and options");
  app.add_option("--jobs-file", a.jobs_file, "Read input names from FILE; -: from standard input")
      ->type_name("FILE");
}

void add_audio_options(CLI::App& app, TranscribeArguments& a) {
  app.option_defaults()->group("Audio");
  add_shared(app, OptionGroup::kAudio, a);
  add_text(
      app, "--offset", "T",
      [&](const std::string& text) { a.offset = read_time("--offset", text); },
      "Begin at T: seconds or hh:mm:ss");
  add_text(
      app, "--duration", "T",
      [&](const std::string& text) { a.duration = read_time("--duration", text); },
      "How much to transcribe  [all]");
  add_text(
      app, "--channel", "N|mix",
      [&](const std::string& text) {
        a.audio.channel.reset();
        if (text != "mix") a.audio.channel = read_count("--channel", text, 64, " or mix");
      },
      "Use one channel only, counted from 1  [mix]");
  add_text(
      app, "--track", "N",
      [&](const std::string& text) { a.audio.track = read_count("--track", text, 1000, ""); },
      "Sound track of a video, counted from 1  [ffmpeg's choice]");
  const auto raw = [&a]() -> dsp::RawFormat& { return a.raw ? *a.raw : a.raw.emplace(); };
  add_text(
      app, "--raw", "s16le|f32le",
      [raw](const std::string& text) {
        using Encoding = dsp::RawFormat::Encoding;
        if (text != "s16le" && text != "f32le") {
          throw UsageError("--raw: '" + text + "' is not one of s16le|f32le");
        }
        raw().encoding = text == "s16le" ? Encoding::kS16le : Encoding::kF32le;
      },
      "Headerless input; --raw-rate N  [16000], --raw-channels N  [1]");
  const auto add_raw_number = [&](const std::string& name, int min, int max,
                                  int dsp::RawFormat::*field) {
    const auto read = [=](const std::string& text) {
      const auto value = parse_number<int>(text);
      if (!value || *value < min || *value > max) {
        throw UsageError(name + ": '" + text + "' is not a number from " + shown(min) + " to " +
                         shown(max));
      }
      raw().*field = *value;
    };
    add_text(app, name, "N", read, "")->group("");  // shown with --raw
  };
  add_raw_number("--raw-rate", 1000, 768000, &dsp::RawFormat::rate);
  add_raw_number("--raw-channels", 1, 64, &dsp::RawFormat::channels);
}

void add_decoding_options(CLI::App& app, TranscribeArguments& a) {
  app.option_defaults()->group("Decoding");
  add_shared(app, OptionGroup::kDecoding, a);
}

void add_machine_options(CLI::App& app, TranscribeArguments& a) {
  app.option_defaults()->group("Machine");
  add_machine(app, a.precision, a.threads);
  add_shared(app, OptionGroup::kMachine, a);
  app.add_option("--timings", a.timings, "Write times as JSON; -: standard output")
      ->type_name("FILE");
  app.add_flag("--quiet", a.quiet, "No progress bar, no notices");
  app.add_flag("--verbose", a.verbose, "Show segments as they come");
}

void add_live_options(CLI::App& app, TranscribeArguments& a) {
  app.option_defaults()->group("Live");
  LiveArguments& live = a.live;
  app.add_flag("--live", live.live, "Text while audio arrives; jsonl: events, partial and final");
  app.add_option_function<std::vector<std::string>>(
         "--mic",
         [&live](const std::vector<std::string>& device) {
           live.live = live.microphone = true;
           live.device = device.empty() ? "" : device.front();
         },
         "Live from a microphone (--list-microphones)")
      ->type_name("[DEVICE]")
      ->expected(0, 1);
  app.add_flag("--list-microphones", a.list_microphones)->group("");
  add_choice<bool>(app, "--pace", live.realtime, {{"realtime", true}, {"fast", false}},
                   "Speed at which a file is played");
  using pipeline::Overflow;
  add_text(
      app, "--overflow", "block|drop_oldest",
      [&live](const std::string& text) {
        refuse(text != "block" && text != "drop_oldest",
               "--overflow: '" + text + "' is not one of block|drop_oldest");
        live.overflow = text == "block" ? Overflow::kBlock : Overflow::kDropOldest;
      },
      "If audio comes too fast  [block; --mic: drop_oldest]");
  add_text(
      app, "--front-end", "on|off",
      [&live](const std::string& text) {
        refuse(text != "on" && text != "off", "--front-end: '" + text + "' is not one of on|off");
        live.front_end = text == "on";
      },
      "Suppress hum and noise, even the level  [off; --mic: on]");
}

void check_strategy(const CLI::App& app, const TranscribeOptions& o) {
  const bool sequential = o.strategy == Strategy::kSequential;
  refuse(
      !sequential && app.count("--condition-on-previous-text") > 0 && o.condition_on_previous_text,
      "--condition-on-previous-text needs --strategy sequential: windows are independent");
  refuse(sequential && app.count("--batch") > 0,
         "--batch needs --strategy windows; sequential takes one after another");
  refuse(pipeline::voice_detector(o) == VadKind::kOff && app.count("--endpoint-silence") > 0,
         sequential
             ? "--endpoint-silence needs --vad webrtc or silero; sequential has none"
             : "--endpoint-silence needs voice activity detection, which --vad off turns off");
}

void check_decoding(const CLI::App& app, const TranscribeOptions& o) {
  const bool zero = o.temperatures.front() == 0;
  const bool above = o.temperatures.back() > 0;
  refuse(!zero && app.count("--beam") > 0, "--beam is for temperature 0, which is not in the list");
  refuse(!above && app.count("--best-of") > 0,
         "--best-of is for temperatures above 0, of which none is in the list");
  refuse(!zero && !o.hotwords.empty(), "--hotwords is for temperature 0, which is not in the list");
  refuse(o.hotwords.empty() && app.count("--hotword-boost") > 0,
         "--hotword-boost needs --hotwords");
  refuse((!zero || o.beam == 1) && app.count("--patience") > 0, "--patience needs beams");
}

void check_output(const CLI::App& app, const TranscribeArguments& a) {
  refuse(app.count("--output") > 0 && a.output.empty(),
         "--output: the name of a folder is missing");
  refuse(a.output.empty() && a.formats.size() > 1,
         "several formats need an output folder (-o DIR)");
  refuse(a.output.empty() && a.resume, "--resume needs an output folder (-o DIR)");
  const auto is_subtitle = [](const pipeline::Format* format) {
    return format->name == "srt" || format->name == "vtt";
  };
  const bool subtitles = std::any_of(a.formats.begin(), a.formats.end(), is_subtitle);
  for (const char* name : {"--max-line-width", "--max-line-count", "--min-cue", "--max-cue"}) {
    refuse(!subtitles && app.count(name) > 0,
           std::string(name) + " is for the subtitle formats, srt and vtt");
  }
  refuse(a.subtitles.max_cue > 0 && a.subtitles.min_cue > a.subtitles.max_cue,
         "--min-cue is above --max-cue");
  const auto is_text = [](const pipeline::Format* format) { return format->name == "txt"; };
  refuse(a.options.word_timestamps && std::all_of(a.formats.begin(), a.formats.end(), is_text),
         "--word-timestamps needs a format with times, as -f json or srt");
  refuse(a.quiet && a.verbose, "--quiet and --verbose exclude each other");
}

void check_live(const CLI::App& app, const TranscribeArguments& a) {
  if (!a.live.live) {
    for (const char* name : {"--pace", "--overflow", "--front-end"})
      refuse(app.count(name) > 0, std::string(name) + " needs --live or --mic");
    return;
  }
  for (const char* name : {"--output", "--resume", "--jobs-file", "--verbose", "--max-line-width"})
    refuse(app.count(name) > 0, std::string(name) + " is not for live transcription");
  refuse(a.options.strategy == Strategy::kSequential,
         "--strategy sequential hears whole recordings; live needs windows");
  const std::string_view format = a.formats.front()->name;
  refuse(a.formats.size() > 1 || (format != "txt" && format != "jsonl"),
         "live results are txt or jsonl");
  refuse(a.live.microphone && !a.inputs.empty(), "--mic takes no input beside it");
  refuse(!a.live.microphone && a.inputs.size() != 1, "--live takes one file, or -");
  for (const char* name : {"--pace", "--offset", "--duration", "--channel", "--track"})
    refuse(a.live.microphone && app.count(name) > 0,
           std::string(name) + " is for files; --mic hears what is said now");
  refuse(a.timings == "-", "--timings - would be mixed with live results; give a FILE");
}

void check_inputs(const CLI::App& app, const TranscribeArguments& a) {
  const auto dashes = std::count(a.inputs.begin(), a.inputs.end(), "-");
  refuse(a.inputs.empty() && app.count("--jobs-file") == 0 && !a.live.microphone, "no input given");
  refuse(dashes + (a.jobs_file == "-" ? 1 : 0) > 1, "standard input can be read only once");
  refuse(a.raw && app.count("--raw") == 0, "--raw-rate and --raw-channels need --raw");
  refuse(a.raw && (dashes == 0 || a.inputs.size() > 1 || !a.jobs_file.empty()),
         "--raw is for standard input: give - as the only input");
  refuse(a.duration == 0, "--duration must be above 0");
}

}  // namespace

std::optional<double> parse_time(const std::string& text) {
  double seconds = 0;
  std::string_view rest = text;
  for (int fields = 1; fields <= 3; ++fields) {
    const size_t colon = rest.find(':');
    const std::string_view field = rest.substr(0, colon);
    const bool last = colon == std::string_view::npos;
    const std::optional<double> value =
        last ? parse_number<double>(field) : std::optional<double>(parse_number<int>(field));
    if (!value || !(*value >= 0 && *value <= 1e7) || field[0] == '-') return std::nullopt;
    if (fields > 1 && *value >= 60) return std::nullopt;
    seconds = seconds * 60 + *value;
    if (last) return seconds;
    rest.remove_prefix(colon + 1);
  }
  return std::nullopt;
}

void add_transcribe_options(CLI::App& app, TranscribeArguments& arguments) {
  add_input_options(app, arguments);
  add_output_options(app, arguments);
  add_audio_options(app, arguments);
  add_decoding_options(app, arguments);
  add_machine_options(app, arguments);
  add_live_options(app, arguments);
}

void check_transcribe_options(const CLI::App& app, TranscribeArguments& arguments) {
  if (arguments.list_languages || arguments.list_microphones) return;
  check_live(app, arguments);
  if (arguments.live.live && app.count("--endpoint-silence") == 0)
    arguments.options.endpoint_silence = pipeline::LiveOptions().transcribe.endpoint_silence;
  check_inputs(app, arguments);
  check_output(app, arguments);
  check_strategy(app, arguments.options);
  check_decoding(app, arguments.options);
}

void check_language(const TranscribeArguments& arguments, const pipeline::SpeechModel& model) {
  const std::string& name = model.files.name();
  std::vector<std::string> languages = arguments.options.languages;
  if (!arguments.options.language.empty()) languages = {arguments.options.language};
  refuse(!model.multilingual && arguments.options.task == Task::kTranslate,
         "--task translate: the model '" + name + "' knows English only");
  for (const std::string& language : languages) {
    refuse(!model.multilingual && language != "en",
           "--language " + language + ": the model '" + name + "' knows English only");
    refuse(model.multilingual && model.tokenizer.special().language(language) == text::kNoToken,
           "--language " + language + ": the model '" + name + "' does not know it");
  }
}

}  // namespace parley::cli
