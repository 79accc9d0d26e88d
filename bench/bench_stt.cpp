// Times the stages of a speech-to-text model: loading, the encoder, and decoder steps with 1, 5 and
// 8 rows. Prints one JSON object (bench/README.md).
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "parley/bench/measure.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/pipeline/stt/speech_model.h"

namespace {

using namespace parley;
using bench::Clock;

constexpr int kRepetitions = 5;
constexpr int kSteps = 256;

struct StepKind {
  const char* name;
  int rows, windows;
};
constexpr StepKind kStepKinds[] = {{"1", 1, 1}, {"5", 5, 1}, {"8", 8, 1}, {"8_windows", 8, 8}};

std::shared_ptr<const decoder::CrossState> encode(nn::Context& ctx,
                                                  const pipeline::SpeechModel& model) {
  const nn::Scope scope(ctx);
  const nn::Tensor mel = ctx.allocate({model.encoder.frames(), model.encoder.n_mels()});
  std::fill_n(mel.f32(), mel.shape.elements(), 0.f);
  const nn::Tensor features = ctx.allocate({model.encoder.positions(), model.encoder.d_model()});
  model.encoder.run(ctx, mel, features);
  return model.decoder.listen(ctx, features);
}

// Mean milliseconds of a step that advances `rows` sequences over positions 0 to 255; the sequences
// listen to `windows` windows.
double time_steps(nn::Context& ctx, const pipeline::SpeechModel& model,
                  const decoder::CacheShape& shape, int rows, int windows) {
  decoder::KvState state(shape, rows);
  std::vector<std::shared_ptr<const decoder::CrossState>> heard;
  for (int i = 0; i < windows; ++i)
    heard.push_back(std::make_shared<decoder::CrossState>(shape, model.encoder.positions()));
  std::vector<decoder::Row> step;
  for (int slot = 0; slot < rows; ++slot) {
    state.reset(slot, heard[static_cast<size_t>(slot % windows)]);
    step.push_back({slot, model.tokenizer.special().sot, true});
  }
  const Clock clock;
  for (int i = 0; i < kSteps; ++i) {
    const nn::Scope scope(ctx);
    model.decoder.step(ctx, state, step);
  }
  return clock.milliseconds() / kSteps;
}

// What a step of time_steps() must read: the weights, what the windows' cross-attention listens to,
// and the rows' own keys and values at the mean position.
size_t step_bytes(const pipeline::SpeechModel& model, const decoder::CacheShape& shape, int rows,
                  int windows) {
  const decoder::CrossState window(shape, model.encoder.positions());
  const auto own = static_cast<size_t>(shape.layers * 2 * shape.heads * shape.head_dim) *
                   shape.element() * (kSteps / 2);
  return model.decoder.step_bytes() + static_cast<size_t>(windows) * window.bytes() +
         static_cast<size_t>(rows) * own;
}

double time_prompt(nn::Context& ctx, const pipeline::SpeechModel& model,
                   const decoder::CacheShape& shape) {
  decoder::KvState state(shape, 1);
  state.reset(0, std::make_shared<decoder::CrossState>(shape, model.encoder.positions()));
  std::vector<decoder::Row> prompt(kSteps, {0, model.tokenizer.special().sot, false});
  prompt.back().logits = true;
  const nn::Scope scope(ctx);
  const Clock clock;
  model.decoder.step(ctx, state, prompt);
  return clock.milliseconds();
}

nlohmann::json measure(const std::string& path, nn::Precision precision, int threads) {
  const Clock loading;
  const auto model = pipeline::SpeechModel::load(path, precision, threads);
  nlohmann::json result = {{"load_ms", loading.milliseconds()},
                           {"model", model->files.name()},
                           {"digest", model->files.digest()},
                           {"isa", nn::name_of(nn::isa())},
                           {"precision", nn::name_of(precision)},
                           {"weights_bytes", model->encoder.bytes() + model->decoder.bytes()}};
  nn::Context ctx({.threads = threads});
  result["threads"] = ctx.threads();
  const decoder::CacheShape& shape = model->decoder.cache_shape();
  for (const StepKind& kind : kStepKinds) {
    result["step_bytes_" + std::string(kind.name)] =
        step_bytes(*model, shape, kind.rows, kind.windows);
  }
  encode(ctx, *model);
  result["first_result_ms"] =
      loading.milliseconds();  // from nothing to a window that can be decoded
  for (int i = 0; i < kRepetitions; ++i) {
    {
      const nn::Scope scope(ctx);
      const nn::Tensor mel = ctx.allocate({model->encoder.frames(), model->encoder.n_mels()});
      std::fill_n(mel.f32(), mel.shape.elements(), 0.f);
      const nn::Tensor features =
          ctx.allocate({model->encoder.positions(), model->encoder.d_model()});
      const Clock encoding;
      model->encoder.run(ctx, mel, features);
      result["encoder_ms"].push_back(encoding.milliseconds());
      const Clock listening;
      model->decoder.listen(ctx, features);
      result["cross_ms"].push_back(listening.milliseconds());
    }
    for (const StepKind& kind : kStepKinds) {
      result["step_ms_" + std::string(kind.name)].push_back(
          time_steps(ctx, *model, shape, kind.rows, kind.windows));
    }
    result["prompt_ms_256"].push_back(time_prompt(ctx, *model, shape));
  }
  result["peak_rss_bytes"] = bench::peak_rss_bytes();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  std::string model;
  int threads = 0;
  nn::Precision precision = nn::Precision::kAuto;
  CLI::App app("Times the stages of a speech-to-text model.");
  app.add_option("model", model, "model folder")->required();
  bench::add_machine_options(app, threads, precision);
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(model, precision, threads).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_stt: " << error.what() << "\n";
    return 3;
  }
}
