// transcribe: speech in files, folders and streams to text.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parley/cli/help_layout.h"
#include "parley/cli/interrupt_watch.h"
#include "parley/cli/program.h"
#include "parley/cli/recommend.h"
#include "parley/cli/transcribe/transcribe_jobs.h"
#include "parley/cli/transcribe/transcribe_live.h"
#include "parley/cli/transcribe/transcribe_options.h"
#include "parley/cli/transcribe/transcribe_run.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/vad_model.h"
#include "parley/store/model_lookup.h"
#include "parley/text/languages.h"

namespace parley::cli {

namespace {

constexpr const char* kEmbeddedVad = "silero-vad";

int list_languages() {
  for (const text::Language& language : text::languages()) {
    std::printf("%-4s %s\n", std::string(language.code).c_str(),
                std::string(language.name).c_str());
  }
  return kAllGood;
}

// The next line that names an input.
bool next_line(std::istream& lines, std::string& line) {
  while (std::getline(lines, line)) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) return true;
  }
  return false;
}

// Jobs of inputs; what cannot be worked on is reported and counted.
std::vector<Job> plan(const TranscribeArguments& arguments, JobPlanner& planner,
                      const std::vector<std::string>& inputs, int64_t& failed) {
  std::vector<Job> jobs = planner.plan(inputs, [&](const Error& error) {
    print_error("transcribe", error.what());
    ++failed;
  });
  for (const std::string& note : planner.take_notes()) {
    if (!arguments.quiet) std::fprintf(stderr, "transcribe: %s\n", note.c_str());
  }
  return jobs;
}

void check_line(const std::string& line) {
  if (line == kStandardInput) throw UsageError("a jobs file cannot name standard input (-)");
}

std::vector<Job> plan_all(const TranscribeArguments& arguments, JobPlanner& planner,
                          int64_t& failed) {
  const bool from_file = !arguments.jobs_file.empty() && arguments.jobs_file != kStandardInput;
  const std::string unreadable = "--jobs-file: cannot read '" + arguments.jobs_file + "'";
  std::ifstream lines(arguments.jobs_file);
  if (from_file && !lines) throw UsageError(unreadable);
  std::vector<std::string> inputs = arguments.inputs;
  if (from_file) {
    for (std::string line; next_line(lines, line);) {
      check_line(line);
      inputs.push_back(line);
    }
    if (!lines.eof()) throw UsageError(unreadable);  // a folder
  }
  return plan(arguments, planner, inputs, failed);
}

void check_standard_output(const TranscribeArguments& arguments, size_t jobs) {
  const std::string_view format = arguments.formats.front()->name;
  const bool many = jobs > 1 || arguments.jobs_file == kStandardInput;
  if (arguments.output.empty() && many && format != "txt" && format != "jsonl") {
    throw UsageError("several inputs as " + std::string(format) +
                     " need an output folder (-o DIR); jsonl and txt can follow one another");
  }
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(folder.string(), "cannot make the output folder: " + error.message());
}

// All jobs, then those of the filter as their lines come.
void work(const TranscribeArguments& arguments, JobPlanner& planner, const std::vector<Job>& jobs,
          TranscribeRun& run, InterruptWatch& watch, int64_t& failed) {
  size_t next = 0;
  std::deque<Job> of_line;
  run.work([&](bool wait) -> std::optional<PlacedJob> {
    if (next < jobs.size()) {
      const Job& job = jobs[next++];
      const std::string place = std::to_string(next) + "/" + std::to_string(jobs.size());
      return PlacedJob{job, jobs.size() > 1 ? place : ""};
    }
    // A line is read when everything before it is answered.
    const bool read_lines = wait && arguments.jobs_file == kStandardInput;
    const auto read_line = [&](std::string& line) {
      watch.set_reading_stdin(true);
      const bool found = next_line(std::cin, line);
      watch.set_reading_stdin(false);
      return found;
    };
    std::string line;
    while (of_line.empty() && read_lines && read_line(line)) {
      std::vector<Job> planned;
      try {
        check_line(line);
        planned = plan(arguments, planner, {line}, failed);
      } catch (const UsageError& error) {  // other lines are still good
        print_error("transcribe", error.what());
        ++failed;
      }
      of_line.assign(planned.begin(), planned.end());
    }
    if (of_line.empty()) return std::nullopt;
    PlacedJob placed{std::move(of_line.front()), ""};
    of_line.pop_front();
    return placed;
  });
  if (watch.token().stop_requested() || interrupted()) throw Stopped();
}

// Runs `body`; gives the exit code of how it ended.
template <typename Body>
int ended(const Body& body) {
  try {
    body();
    return kAllGood;
  } catch (const Stopped&) {
    return kInterrupted;
  } catch (const ClosedPipe&) {
    return kSomeFailed;
  }
}

std::shared_ptr<const pipeline::SpeechModel> load(const TranscribeArguments& arguments) {
  const auto model = load_model([&] {
    const std::filesystem::path folder =
        store::find_model(arguments.model, "stt", store::kEmbeddedSpeechModel);
    if (arguments.model.empty() && !arguments.quiet &&
        store::is_embedded_model(folder, store::kEmbeddedSpeechModel)) {
      recommend("transcribe", std::string(store::kEmbeddedSpeechModel) +
                                  " is small; for more than simple sentences, install another: "
                                  "parley models pull whisper-base.en");
    }
    return pipeline::SpeechModel::load(folder, arguments.precision, arguments.threads,
                                       stage::PackedCache::for_user());
  });
  check_language(arguments, *model);
  return model;
}

void load_vad(TranscribeArguments& arguments) {
  if (!pipeline::wants_silero(arguments.options)) return;
  const std::filesystem::path folder = store::default_model("vad", kEmbeddedVad);
  if (!folder.empty()) {
    arguments.options.silero = load_model([&] { return pipeline::load_vad_model(folder); });
    return;
  }
  const std::string missing =
      std::string("the detector ") + kEmbeddedVad + " is not where the programs are, nor installed";
  if (arguments.options.vad == pipeline::VadKind::kSilero)
    throw ModelError(Error("--vad silero", missing, "use --vad webrtc").what());
  if (!arguments.quiet)
    std::fprintf(stderr,
                 "transcribe: %s: speech is found by WebRTC's, which hears more noise as speech\n",
                 missing.c_str());
}

int hear(TranscribeArguments& arguments) {
  InterruptWatch watch;
  load_vad(arguments);
  try {
    return transcribe_live(arguments, watch, [&] { return load(arguments); });
  } catch (const ClosedPipe&) {
    return kSomeFailed;
  }
}

int transcribe(const CLI::App& app, TranscribeArguments arguments) {
  check_transcribe_options(app, arguments);
  if (arguments.list_languages) return list_languages();
  if (arguments.list_microphones) return list_microphones();
  ::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is noticed when writing
  if (arguments.live.live) return hear(arguments);
  JobPlanner planner(arguments.output, arguments.formats);
  int64_t failed = 0;
  const std::vector<Job> jobs = plan_all(arguments, planner, failed);
  check_standard_output(arguments, jobs.size());
  if (jobs.empty() && arguments.jobs_file != kStandardInput) {
    return failed > 0 ? kSomeFailed : kAllGood;
  }
  if (!arguments.output.empty()) make_folder(arguments.output);

  InterruptWatch watch;
  const auto begun = std::chrono::steady_clock::now();
  const auto model = load(arguments);
  load_vad(arguments);
  const std::chrono::duration<double> load = std::chrono::steady_clock::now() - begun;
  TranscribeRun run(arguments, model, load.count(), watch);
  int code = ended([&] { work(arguments, planner, jobs, run, watch, failed); });
  if (!run.summary().empty()) std::fprintf(stderr, "transcribe: %s\n", run.summary().c_str());
  if (code == kAllGood && failed + run.failed() > 0) code = kSomeFailed;
  if (!arguments.timings.empty() &&
      ended([&] { write_named(arguments.timings, run.timings_json()); }) != kAllGood) {
    return code == kAllGood ? static_cast<int>(kSomeFailed) : code;
  }
  return code;
}

}  // namespace

int run_transcribe(int argc, char** argv) {
  CLI::App app("Turns speech into text.", "transcribe");
  app.set_version_flag("--version", "transcribe " + version());
  app.formatter(std::make_shared<HelpLayout>());
  app.get_formatter()->column_width(36);
  TranscribeArguments arguments;
  add_transcribe_options(app, arguments);
  return run_program(app, argc, argv, [&] { return transcribe(app, arguments); });
}

}  // namespace parley::cli

int main(int argc, char** argv) {
  try {
    return parley::cli::run_transcribe(argc, argv);
  } catch (...) {  // what run_program() does not catch: no memory for the options
    return parley::cli::kSomeFailed;
  }
}
