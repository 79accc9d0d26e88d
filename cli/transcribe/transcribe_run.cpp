#include "parley/cli/transcribe/transcribe_run.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "parley/cli/program.h"
#include "parley/cli/run_facts.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/thread_count.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/visit_options.h"

namespace parley::cli {

namespace {

using Json = nlohmann::ordered_json;

// Options by their names, as values that stay what they are when the code is reordered.
struct Written {
  Json& json;

  template <typename Value, typename Kind>
  void operator()(const pipeline::OptionInfo& info, const Value& value, const Kind&) const {
    if (info.written) json[std::string(info.name)] = value;
  }
  template <typename Value, size_t kCount>
  void operator()(const pipeline::OptionInfo& info, Value value,
                  const std::array<pipeline::Choice<Value>, kCount>& choices) const {
    for (const auto& [name, each] : choices) {
      if (each == value) json[std::string(info.name)] = name;
    }
  }
};

// Everything besides the input that decides what is written. Threads and batch do not.
std::string recipe(const TranscribeArguments& a, const pipeline::SpeechModel& model) {
  Json json = {{"model", model.files.digest()},
               {"name", model.files.name()},
               {"precision", nn::name_of(a.precision)},
               {"offset", a.offset},
               {"duration", a.duration},
               {"channel", a.audio.channel.value_or(0)},
               {"track", a.audio.track.value_or(0)},
               {"max_line_width", a.subtitles.max_line_width},
               {"max_line_count", a.subtitles.max_line_count},
               {"min_cue", a.subtitles.min_cue},
               {"max_cue", a.subtitles.max_cue}};
  pipeline::TranscribeOptions options = a.options;
  options.vad = pipeline::voice_detector(options);
  pipeline::visit_options(options, Written{json});
  return json.dump();
}

// The reader began at `offset`; results tell times of the file.
void shift(pipeline::Transcript& transcript, double offset) {
  const auto move = [offset](auto& span) {
    span.start += offset;
    span.end += offset;
  };
  for (pipeline::Segment& segment : transcript.segments) {
    move(segment);
    for (pipeline::Word& word : segment.words) move(word);
  }
  for (pipeline::Rejected& rejected : transcript.rejected) move(rejected);
}

}  // namespace

TranscribeRun::TranscribeRun(const TranscribeArguments& arguments,
                             std::shared_ptr<const pipeline::SpeechModel> model,
                             double load_seconds, InterruptWatch& watch)
    : arguments_(arguments),
      model_(std::move(model)),
      transcriber_(model_, arguments.threads),
      watch_(watch),
      progress_(!arguments.quiet && ::isatty(STDERR_FILENO) != 0),
      load_seconds_(load_seconds) {
  if (!arguments.output.empty()) {
    journal_.emplace(arguments.output, recipe(arguments, *model_), arguments.resume);
  }
  if (arguments.verbose) {
    say("model " + model_->files.name() + " (" + model_->files.path().string() + "), " +
        std::string(nn::name_of(nn::isa())) + ", loaded in " +
        std::to_string(std::lround(load_seconds * 1000)) + " ms");
  }
}

void TranscribeRun::work(const NextJob& next) {
  try {
    transcriber_.transcribe_all([&](bool wait) { return next_input(next, wait); },
                                arguments_.options, watch_.token());
  } catch (...) {
    add(transcriber_.timings());
    throw;
  }
  add(transcriber_.timings());
}

std::optional<pipeline::Input> TranscribeRun::next_input(const NextJob& next, bool wait) {
  while (std::optional<PlacedJob> placed = next(wait)) {
    if (watch_.token().stop_requested()) throw Stopped();
    const Job job = placed->job;
    if (arguments_.resume && journal_->is_done(job, journal_->key(job))) {
      ++inputs_.skipped;
      if (arguments_.verbose) say(job.input + ": is already done");
      continue;
    }
    try {
      return open(std::move(*placed));
    } catch (const std::exception&) {
      fail(job, std::current_exception());
    }
  }
  return std::nullopt;
}

pipeline::Input TranscribeRun::open(PlacedJob placed) {
  const Job& job = placed.job;
  const bool is_stdin = job.input == kStandardInput;
  if (is_stdin) watch_.set_reading_stdin(true);
  dsp::AudioReader audio = is_stdin
                               ? dsp::AudioReader::standard_input(arguments_.raw, arguments_.audio)
                               : dsp::AudioReader::open(job.input, arguments_.audio);
  if (arguments_.offset > 0 || arguments_.duration >= 0)
    audio.limit(arguments_.offset, arguments_.duration);
  if (arguments_.verbose) say(job.input + ": begins");
  pipeline::TranscribeEvents events;
  const std::string label = job.input + (placed.place.empty() ? "" : " (" + placed.place + ")");
  events.progress = [this, label, duration = audio.duration_hint()](double seconds) {
    progress_.show(label, duration, seconds);
  };
  events.progress(0);
  if (arguments_.verbose) {
    events.segment = [this](const pipeline::Segment& segment) {
      progress_.clear();
      pipeline::Transcript line;
      line.segments = {segment};
      std::fprintf(stderr, "[%8.2f -> %8.2f] %s", segment.start + arguments_.offset,
                   segment.end + arguments_.offset, pipeline::write_txt(line).c_str());
    };
  }
  return {.audio = std::move(audio),
          .events = std::move(events),
          .done = [this, job, key = journal_ ? journal_->key(job) : ""](
                      pipeline::Transcript transcript) { finish(job, key, std::move(transcript)); },
          .failed = [this, job](std::exception_ptr error) { fail(job, std::move(error)); }};
}

void TranscribeRun::finish(const Job& job, const std::string& key,
                           pipeline::Transcript transcript) {
  if (job.input == kStandardInput) watch_.set_reading_stdin(false);
  shift(transcript, arguments_.offset);
  progress_.clear();
  if (transcript.duration == 0 && arguments_.offset > 0)
    transcript.notices.push_back("has no audio after --offset");
  for (const std::string& notice : transcript.notices) {
    if (!arguments_.quiet) say(job.input + ": " + notice);
  }
  if (job.outputs.empty()) {
    write(job, transcript);
  } else {
    try {
      write(job, transcript);
      if (journal_) journal_->note(job, key);
    } catch (const std::exception&) {
      return fail(job, std::current_exception());
    }
  }
  if (arguments_.verbose) say(job.input + ": done");
  ++inputs_.done;
}

void TranscribeRun::fail(const Job& job, std::exception_ptr error) {
  if (job.input == kStandardInput) watch_.set_reading_stdin(false);
  progress_.clear();
  std::string what = "failed";
  try {
    std::rethrow_exception(std::move(error));
  } catch (const Stopped&) {
    throw;
  } catch (const std::exception& caught) {
    what = caught.what();
  }
  // Errors about the input begin with its name.
  print_error("transcribe", what.starts_with(job.input + ": ") ? what : job.input + ": " + what);
  ++inputs_.failed;
}

void TranscribeRun::write(const Job& job, const pipeline::Transcript& transcript) {
  pipeline::SubtitleRules subtitles = arguments_.subtitles;
  subtitles.highlight_words = arguments_.options.word_timestamps;
  const pipeline::WriterOptions options{
      .file = job.input, .model = model_->files.name(), .subtitles = subtitles};
  if (job.outputs.empty()) {
    const pipeline::Format& format = *arguments_.formats.front();
    write_all(STDOUT_FILENO, format.write(transcript, options), "standard output");
    return;
  }
  for (size_t i = 0; i < job.outputs.size(); ++i) {
    const std::filesystem::path folder = job.outputs[i].parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder);
    AtomicFile file(job.outputs[i]);
    file.write(arguments_.formats[i]->write(transcript, options));
    file.commit();
  }
}

void TranscribeRun::add(const pipeline::Timings& timings) {
  sum_.wall_seconds += timings.wall_seconds;
  sum_.audio_seconds += timings.audio_seconds;
  sum_.decode_audio += timings.decode_audio;
  sum_.vad += timings.vad;
  sum_.frontend += timings.frontend;
  sum_.encoder += timings.encoder;
  sum_.decoder += timings.decoder;
  sum_.stitch += timings.stitch;
  sum_.tokens += timings.tokens;
  sum_.windows += timings.windows;
}

void TranscribeRun::say(const std::string& message) {
  progress_.clear();
  std::fprintf(stderr, "transcribe: %s\n", message.c_str());
}

std::string timings_json(const TranscribeArguments& arguments, const pipeline::SpeechModel& model,
                         const pipeline::Timings& timings, double load_seconds,
                         const InputCounts& inputs) {
  const int threads = nn::thread_count(arguments.threads);
  return Json{{"wall_seconds", rounded(timings.wall_seconds)},
              {"audio_seconds", rounded(timings.audio_seconds)},
              {"real_time_factor", ratio(timings.wall_seconds, timings.audio_seconds)},
              {"stages",
               {{"decode_audio", rounded(timings.decode_audio)},
                {"vad", rounded(timings.vad)},
                {"frontend", rounded(timings.frontend)},
                {"encoder", rounded(timings.encoder)},
                {"decoder", rounded(timings.decoder)},
                {"stitch", rounded(timings.stitch)}}},
              {"tokens", timings.tokens},
              {"tokens_per_second", ratio(static_cast<double>(timings.tokens), timings.decoder)},
              {"windows", timings.windows},
              {"load_seconds", rounded(load_seconds)},
              {"peak_rss_bytes", peak_rss_bytes()},
              {"model", model.files.name()},
              {"model_digest", model.files.digest()},
              {"precision", nn::name_of(arguments.precision)},
              {"instruction_set", nn::name_of(nn::isa())},
              {"threads", threads},
              {"inputs",
               {{"done", inputs.done}, {"skipped", inputs.skipped}, {"failed", inputs.failed}}}}
             .dump() +
         '\n';
}

std::string TranscribeRun::summary() const {
  if (inputs_.skipped == 0 || arguments_.quiet) return "";
  return std::to_string(inputs_.skipped) + (inputs_.skipped == 1 ? " input was" : " inputs were") +
         " already done";
}

}  // namespace parley::cli
