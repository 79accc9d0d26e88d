// The work of `transcribe`: input by input, results out, times summed.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "parley/cli/interrupt_watch.h"
#include "parley/cli/transcribe/resume_journal.h"
#include "parley/cli/transcribe/transcribe_jobs.h"
#include "parley/cli/transcribe/transcribe_options.h"
#include "parley/cli/transcribe/transcribe_progress.h"
#include "parley/pipeline/stt/transcriber.h"

namespace parley::cli {

struct PlacedJob {
  Job job;
  std::string place;  // "3/10", shown in the progress bar; may be empty
};
// The jobs one after another; nothing after the last. Without `wait`, nothing also when the next
// one is not known yet.
using NextJob = std::function<std::optional<PlacedJob>(bool wait)>;

struct InputCounts {
  int64_t done = 0;
  int64_t skipped = 0;
  int64_t failed = 0;
};

// The document of --timings.
std::string timings_json(const TranscribeArguments& arguments, const pipeline::SpeechModel& model,
                         const pipeline::Timings& timings, double load_seconds,
                         const InputCounts& inputs);

class TranscribeRun {
 public:
  // load_seconds: what loading the model took. Throws Error when the output folder cannot be
  // written.
  TranscribeRun(const TranscribeArguments& arguments,
                std::shared_ptr<const pipeline::SpeechModel> model, double load_seconds,
                InterruptWatch& watch);

  // Transcribes the inputs and writes their results. An input that fails is reported on standard
  // error and counted. Throws Stopped, ClosedPipe, and Error when standard output cannot be
  // written: then nothing more can be done.
  void work(const NextJob& next);

  int64_t failed() const { return inputs_.failed; }
  std::string timings_json() const {
    return cli::timings_json(arguments_, *model_, sum_, load_seconds_, inputs_);
  }
  // What the user wants to know at the end; may be empty.
  std::string summary() const;

 private:
  // Opens the next input that is not done yet and can be read.
  std::optional<pipeline::Input> next_input(const NextJob& next, bool wait);
  pipeline::Input open(PlacedJob placed);
  void finish(const Job& job, const std::string& key, pipeline::Transcript transcript);
  void fail(const Job& job, std::exception_ptr error);
  void write(const Job& job, const pipeline::Transcript& transcript);
  void add(const pipeline::Timings& timings);
  void say(const std::string& message);

  const TranscribeArguments& arguments_;
  std::shared_ptr<const pipeline::SpeechModel> model_;
  pipeline::Transcriber transcriber_;
  InterruptWatch& watch_;
  std::optional<ResumeJournal> journal_;
  TranscribeProgress progress_;
  pipeline::Timings sum_;
  double load_seconds_;
  InputCounts inputs_;
};

}  // namespace parley::cli
