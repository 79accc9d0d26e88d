// The work of `transcribe`: input by input, results out, times summed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "cli/resume_journal.h"
#include "cli/transcribe_jobs.h"
#include "cli/transcribe_options.h"
#include "cli/transcribe_progress.h"
#include "pipeline/transcriber.h"

namespace parley::cli {

class TranscribeRun {
 public:
  // load_seconds: what loading the model took. Throws Error when the output folder cannot be
  // written.
  TranscribeRun(const TranscribeArguments& arguments,
                std::shared_ptr<const pipeline::SpeechModel> model, double load_seconds,
                std::stop_token stop);

  // Transcribes one input and writes its results. An input that fails is reported on standard
  // error and counted. Throws Stopped, ClosedPipe, and Error when standard output cannot be
  // written: then nothing more can be done. place: "3/10", shown in the progress bar.
  void work_on(const Job& job, const std::string& place);

  int64_t failed() const { return failed_; }
  // The document of --timings.
  std::string timings_json() const;
  // What the user wants to know at the end; may be empty.
  std::string summary() const;

 private:
  pipeline::Transcript transcribe(const Job& job, const std::string& place);
  void write(const Job& job, const pipeline::Transcript& transcript);
  void add(const pipeline::Timings& timings);
  void say(const std::string& message);

  const TranscribeArguments& arguments_;
  std::shared_ptr<const pipeline::SpeechModel> model_;
  pipeline::Transcriber transcriber_;
  std::stop_token stop_;
  std::optional<ResumeJournal> journal_;
  TranscribeProgress progress_;
  pipeline::Timings sum_;
  double load_seconds_;
  int64_t done_ = 0;
  int64_t skipped_ = 0;
  int64_t failed_ = 0;
};

}  // namespace parley::cli
