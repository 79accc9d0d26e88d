#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"
#include "parley/cli/progress_bar.h"
#include "parley/convert/compress.h"
#include "parley/core/base/error.h"
#include "parley/core/model/inspect.h"

namespace parley::cli {

namespace {

// "int4" and "block32": what CLI users say, as the name of a storage.
stage::TensorStorage storage_of(std::string weights, std::string granularity) {
  const bool palette_or_float = weights != "int8" && weights != "int4";
  if (!granularity.empty() && palette_or_float)
    throw UsageError("--granularity is for int8 and int4, not " + weights);
  if (granularity.empty()) granularity = weights == "int4" ? "block32" : "channel";
  if (!palette_or_float && granularity == "block32") weights += "_block32";
  return stage::tensor_storage_named(weights);
}

// "REGEX=f16"; the last '=' divides.
stage::KeepRule keep_rule(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0)
    throw UsageError("--keep must be REGEX=STORAGE, not '" + text + "'");
  try {
    const std::string storage = text.substr(equals + 1);
    return {text.substr(0, equals),
            stage::tensor_storage_named(storage == "int4" ? "int4_block32" : storage)};
  } catch (const Error& error) {
    throw UsageError("--keep " + text + ": " + error.what());
  }
}

uint64_t stored_bytes(const stage::Model& model) {
  uint64_t bytes = 0;
  for (const stage::Stage& stage : model.stages()) {
    if (stage.manifest().weights) bytes += stage.manifest().weights->bytes;
  }
  return bytes;
}

}  // namespace

CLI::App* add_compress(CLI::App& app, CompressArguments& arguments) {
  CLI::App* command = app.add_subcommand("compress", "Store a model's weights in fewer bits");
  command->add_option("MODEL", arguments.model, "Model folder")->required();
  command
      ->add_option("-o,--output", arguments.output,
                   "Model folder to write; a model there is replaced")
      ->required();
  command
      ->add_option("--weights", arguments.weights, "int8, int4, palette4, palette6, palette8, f16")
      ->check(CLI::IsMember({"int8", "int4", "palette4", "palette6", "palette8", "f16"}))
      ->required();
  command
      ->add_option("--granularity", arguments.granularity,
                   "What shares a scale: channel (an output's weights), or block32 (32 of them)  "
                   "[int8: channel, int4: block32]")
      ->check(CLI::IsMember({"channel", "block32"}));
  command->add_option("--keep", arguments.keep,
                      "REGEX=STORAGE: store matrices whose names match otherwise, e.g. "
                      "'decoder.*fc2=f16'; repeatable, the first match decides");
  command->add_option("--threads", arguments.threads, "0: all processors")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_flag("--quiet", arguments.quiet, "No progress bar, no summary");
  return command;
}

int run_compress(const CompressArguments& arguments) {
  stage::CompressOptions options{.weights = storage_of(arguments.weights, arguments.granularity),
                                 .threads = arguments.threads};
  for (const std::string& rule : arguments.keep) options.keep.push_back(keep_rule(rule));
  const stage::Model model = load_model([&] { return stage::Model::open(arguments.model); });
  watch_interrupts();
  {
    ProgressBar bar(arguments.quiet);
    options.progress = [&](const stage::ConvertProgress& progress) {
      if (interrupted()) throw Stopped();
      bar.show(progress.done_bytes, progress.total_bytes, progress.tensor);
    };
    stage::compress(model, arguments.output, options);
  }
  if (!arguments.quiet) {
    const stage::Model made = stage::Model::open(arguments.output);
    std::fprintf(stderr, "%s: %s, from %s\n", arguments.output.c_str(),
                 stage::human_bytes(stored_bytes(made)).c_str(),
                 stage::human_bytes(stored_bytes(model)).c_str());
  }
  return kAllGood;
}

}  // namespace parley::cli
