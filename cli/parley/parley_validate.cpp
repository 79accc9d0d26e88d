#include <cmath>
#include <cstdio>
#include <limits>

#include "parley/cli/interrupt_watch.h"
#include "parley/cli/option_values.h"
#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/parley/validation_report.h"
#include "parley/cli/program.h"
#include "parley/cli/progress_bar.h"
#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/pipeline/evaluation/stage_runs.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/visit_options.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/store/model_lookup.h"

namespace parley::cli {

namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

void check_usage(const ValidateArguments& a) {
  const auto refuse = [](bool wrong, const char* problem) {
    if (wrong) throw UsageError(problem);
  };
  const bool manifest = !a.manifest.empty();
  const bool reference = !a.reference.empty();
  const bool stages = !a.against.empty() || reference || !manifest;
  refuse(!a.against.empty() && reference, "--against and --reference exclude each other");
  refuse(!a.against.empty() && !a.input.empty(), "--against has its own input: no --input");
  refuse(!stages && (a.max_error || a.layers || !a.input.empty()),
         "--max-error, --layers and --input compare stages: say with what, by --reference or "
         "--against");
  refuse(a.max_wer_delta && !(manifest && reference),
         "--max-wer-delta needs --manifest and --reference");
  refuse((a.max_mcd || a.min_snr) && !(manifest && reference),
         "--max-mcd and --min-snr need --manifest and --reference");
  refuse(!manifest && (a.limit > 0 || !a.listener.empty()),
         "--limit and --stt are for a --manifest");
}

template <class Bound>
CLI::Option* add_bound(CLI::App& app, const std::string& name, Bound& target,
                       const std::string& description) {
  return add_text(
      app, name, "X",
      [&target, name](const std::string& text) {
        const auto value = parse_number<double>(text);
        if (!value || !std::isfinite(*value))
          throw UsageError(name + ": '" + text + "' is not a number");
        target = *value;
      },
      description);
}

// A recording, or its first half minute, as the front end's input.
pipeline::StageTensor recorded_samples(const std::filesystem::path& path) {
  dsp::AudioReader reader = dsp::AudioReader::open(path);
  reader.limit(0, 30);
  std::vector<float> samples(size_t{30} * dsp::kSampleRate);
  size_t count = 0;
  while (const size_t read = reader.read(std::span(samples).subspan(count))) count += read;
  samples.resize(count);
  return {.name = "frontend.samples",
          .shape = {static_cast<int64_t>(count)},
          .values = std::move(samples),
          .role = pipeline::TensorRole::kInput};
}

class Validator {
 public:
  explicit Validator(const ValidateArguments& arguments) : a_(arguments) {}

  int run() {
    const stage::Model model = open(a_.model);
    result_.model = model.name();
    result_.digest = model.digest();
    result_.precision = nn::name_of(a_.precision);
    const bool against_itself = a_.reference.empty() && a_.against.empty() && a_.manifest.empty();
    std::optional<stage::Model> reference;
    if (!a_.reference.empty()) reference.emplace(open(a_.reference));
    if (reference && reference->kind() != model.kind()) {
      throw UsageError(reference->name() + " is of kind " + reference->kind() + ", " +
                       model.name() + " of kind " + model.kind());
    }
    if (reference) result_.reference = reference->name() + " (f32)";
    if (against_itself) result_.reference = "itself in f32";
    if (!a_.against.empty()) {
      result_.reference = a_.against.string();
      compare_stages(model, pipeline::read_golden(a_.against));
    } else if (reference || against_itself) {
      compare_stages(model, reference_tensors(reference ? *reference : model));
    }
    if (!a_.manifest.empty()) score_task(model, reference ? &*reference : nullptr);
    state_bounds();
    if (a_.json != "-") std::fputs(validation_table(result_).c_str(), stdout);
    if (!a_.json.empty()) write_named(a_.json, validation_json(result_));
    return result_.is_good() ? kAllGood : kSomeFailed;
  }

 private:
  static stage::Model open(const std::string& model) {
    return load_model([&] { return stage::Model::open(store::find_model(model, "", "")); });
  }

  pipeline::StageTensors reference_tensors(const stage::Model& reference) const {
    pipeline::StageTensors inputs;
    if (!a_.input.empty()) inputs.set(recorded_samples(a_.input));
    return pipeline::run_stages(reference, inputs,
                                {.precision = nn::Precision::kF32,
                                 .threads = a_.threads,
                                 .layers = a_.layers,
                                 .stop = interrupts_.token()});
  }

  void compare_stages(const stage::Model& model, const pipeline::StageTensors& expected) {
    result_.tensors = pipeline::compare(pipeline::run_stages(model, expected,
                                                             {.precision = a_.precision,
                                                              .threads = a_.threads,
                                                              .layers = a_.layers,
                                                              .stop = interrupts_.token()}),
                                        expected);
  }

  void score_task(const stage::Model& model, const stage::Model* reference) {
    const auto rows = pipeline::read_manifest(a_.manifest, a_.limit);
    result_.manifest = a_.manifest.string();
    if (model.kind() == "stt") {
      result_.speech = score_speech(model, a_.precision, rows);
      if (reference != nullptr)
        result_.reference_speech = score_speech(*reference, nn::Precision::kF32, rows);
    } else if (model.kind() == "tts") {
      score_voices(model, reference, rows);
    } else {
      throw UsageError("--manifest is for models that hear or speak, not of kind " + model.kind());
    }
  }

  pipeline::TranscribeOptions listening() const {
    return {.language = a_.language, .beam = a_.beam};
  }

  pipeline::ScoreProgress shown(ProgressBar& bar, const std::string& name) const {
    return [&bar, name](size_t done, size_t total) { bar.show(done, total, name); };
  }

  pipeline::SpeechScore score_speech(const stage::Model& model, nn::Precision precision,
                                     std::span<const pipeline::ManifestRow> rows) const {
    pipeline::Transcriber transcriber(
        load_model(
            [&] { return pipeline::SpeechModel::load(model.path(), precision, a_.threads); }),
        a_.threads);
    ProgressBar bar(a_.quiet);
    return pipeline::score_speech(transcriber, rows, listening(), interrupts_.token(),
                                  shown(bar, model.name()));
  }

  void score_voices(const stage::Model& model, const stage::Model* reference,
                    std::span<const pipeline::ManifestRow> rows) {
    const auto load = [&](const stage::Model& files, nn::Precision precision) {
      return load_model(
          [&] { return pipeline::VoiceModel::load(files.path(), precision, a_.threads); });
    };
    pipeline::Synthesizer voice(load(model, a_.precision), a_.threads);
    std::optional<pipeline::Synthesizer> other;
    if (reference != nullptr) other.emplace(load(*reference, nn::Precision::kF32), a_.threads);
    pipeline::Transcriber listener(
        load_model([&] {
          return pipeline::SpeechModel::load(
              store::find_model(a_.listener, "stt", store::kEmbeddedSpeechModel),
              nn::Precision::kAuto, a_.threads);
        }),
        a_.threads);
    result_.listener = listener.model().files.name();
    ProgressBar bar(a_.quiet);
    pipeline::VoiceScores scores = pipeline::score_voice(
        voice, rows,
        {.listener = &listener, .listening = listening(), .reference = other ? &*other : nullptr},
        interrupts_.token(), shown(bar, model.name()));
    result_.voice = std::move(scores.voice);
    result_.reference_voice = std::move(scores.reference);
  }

  void state_bounds() {
    const auto state = [this](const char* name, const std::optional<double>& bound,
                              double measured) {
      if (bound) result_.bounds.push_back({name, *bound, measured});
    };
    double worst = 0;
    for (const pipeline::TensorError& tensor : result_.tensors) {
      if (tensor.role == pipeline::TensorRole::kOutput) worst = std::max(worst, tensor.max_error);
    }
    state("max-error", a_.max_error, worst);
    state("max-wer-delta", a_.max_wer_delta, wer_delta(result_).value_or(kLargest));
    if ((a_.max_mcd || a_.min_snr) && !result_.voice)
      throw UsageError("--max-mcd and --min-snr are for voices");
    if (!result_.voice) return;
    state("max-mcd", a_.max_mcd, result_.voice->cepstral_distortion.value_or(kLargest));
    state("min-snr", a_.min_snr, result_.voice->signal_to_noise.value_or(-kLargest));
  }

  const ValidateArguments& a_;
  InterruptWatch interrupts_;
  Validation result_;
};

}  // namespace

CLI::App* add_validate(CLI::App& app, ValidateArguments& a) {
  CLI::App* command = app.add_subcommand(
      "validate",
      "Errors of a model's stages, and how well it does its task; 1: a bound is broken");
  command->add_option("MODEL", a.model, "Installed model or model folder")
      ->type_name("NAME|DIR")
      ->required();
  command->add_option("--against", a.against, "Golden tensors (docs/formats.md)")
      ->type_name("FILE.safetensors");
  command
      ->add_option("--reference", a.reference,
                   "Model to compare with, computed in f32  [without --against and --manifest: "
                   "MODEL itself]")
      ->type_name("NAME|DIR");
  command->add_option("--input", a.input, "Recording that the stages are given  [noise]")
      ->type_name("FILE");
  command->add_flag("--layers", a.layers, "Errors of every layer, too");
  command
      ->add_option("--manifest", a.manifest,
                   "Recordings and transcripts: word error rate and real-time factor; of voices "
                   "also mel-cepstral distortion and signal to noise beside the reference")
      ->type_name("TSV");
  add_number<size_t>(*command, "--limit", a.limit, 1, SIZE_MAX,
                     "Rows of the manifest, evenly spread  [all]", false);
  command
      ->add_option("--stt", a.listener, "Model that hears what a voice says  [the best installed]")
      ->type_name("NAME|DIR");
  command->add_option("-l,--language", a.language, "Of the transcripts")
      ->type_name("CODE")
      ->capture_default_str();
  add_number(*command, "--beam", a.beam, pipeline::kBeams.least, pipeline::kBeams.most,
             "Beams of the decoder");
  add_bound(*command, "--max-error", a.max_error, "Of any output of a stage, absolute");
  add_bound(*command, "--max-wer-delta", a.max_wer_delta,
            "Word error rate above the reference's, in points of a hundred");
  add_bound(*command, "--max-mcd", a.max_mcd, "Mel-cepstral distortion of a voice, dB");
  add_bound(*command, "--min-snr", a.min_snr, "Signal to noise of a vocoder, dB");
  command
      ->add_option("--json", a.json,
                   "Write the result as JSON; -: to standard output, instead of the table")
      ->type_name("FILE");
  add_machine(*command, a.precision, a.threads, "Of MODEL's computation");
  command->add_flag("--quiet", a.quiet, "No progress bar");
  return command;
}

int run_validate(const ValidateArguments& arguments) {
  check_usage(arguments);
  return Validator(arguments).run();
}

}  // namespace parley::cli
