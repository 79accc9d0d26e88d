#include <cstdio>

#include "parley/cli/parley/parley_commands.h"
#include "parley/cli/program.h"
#include "parley/cli/progress_bar.h"
#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/core/model/inspect.h"

namespace parley::cli {

CLI::App* add_convert(CLI::App& app, ConvertArguments& arguments) {
  CLI::App* command = app.add_subcommand("convert", "Make a model folder from a public checkpoint");
  command
      ->add_option(
          "SOURCE", arguments.source,
          "Hugging Face folder (Whisper, SpeechT5), faster-whisper folder, openai/whisper .pt, "
          "whisper.cpp ggml-*.bin, GGUF, Silero VAD; or a text-to-speech model folder to exchange "
          "its parts")
      ->required();
  command
      ->add_option("-o,--output", arguments.output,
                   "Model folder to write; a model there is replaced")
      ->required();
  command->add_option("--name", arguments.name, "Name of the model  [that of SOURCE]");
  command->add_option("--weights", arguments.weights, "f16, or f32: nothing is rounded")
      ->check(CLI::IsMember({"f16", "f32"}))
      ->capture_default_str();
  command->add_option("--tokenizer", arguments.tokenizer,
                      "tokenizer.json, .tiktoken file, or folder  [that of SOURCE]");
  command->add_option("--vocoder", arguments.vocoder,
                      "Of a text-to-speech model: checkpoint, or model folder that has one");
  command->add_option("--voices", arguments.voices,
                      "Of a text-to-speech model: x-vectors (.npy, .safetensors, or folder)");
  command->add_flag("--quiet", arguments.quiet, "No progress bar");
  return command;
}

int run_convert(const ConvertArguments& arguments) {
  watch_interrupts();
  ProgressBar bar(arguments.quiet);
  stage::convert(arguments.source, arguments.output,
                 {.name = arguments.name,
                  .weights = arguments.weights == "f16" ? stage::WeightStorage::kF16
                                                        : stage::WeightStorage::kF32,
                  .tokenizer = arguments.tokenizer,
                  .vocoder = arguments.vocoder,
                  .voices = arguments.voices,
                  .progress =
                      [&](const stage::ConvertProgress& progress) {
                        if (interrupted()) throw Stopped();
                        bar.show(progress.done_bytes, progress.total_bytes, progress.tensor);
                      },
                  .notice =
                      [&](const std::string& notice) {
                        if (!arguments.quiet) print_error("parley", notice);
                      }});
  return kAllGood;
}

CLI::App* add_inspect(CLI::App& app, InspectArguments& arguments) {
  CLI::App* command =
      app.add_subcommand("inspect", "Show a model's stages, shapes, states, storage, bytes");
  command->add_option("MODEL", arguments.model, "Model folder")->required();
  return command;
}

int run_inspect(const InspectArguments& arguments) {
  const stage::Model model = load_model([&] { return stage::Model::open(arguments.model); });
  std::fputs(stage::inspect(model).c_str(), stdout);
  return kAllGood;
}

}  // namespace parley::cli
