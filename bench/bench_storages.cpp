// Times several forms of one speech-to-text model in turns, so that what else the machine does
// meets all of them: the encoder, and decoder steps with 1 and 5 rows. Prints one JSON object a
// model (bench/README.md).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "parley/bench/measure.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/pipeline/stt/speech_model.h"

namespace {

using namespace parley;

constexpr int kSteps = 64;

double milliseconds(const std::function<void()>& work) {
  const bench::Clock clock;
  work();
  return clock.milliseconds();
}

struct Measured {
  std::shared_ptr<const pipeline::SpeechModel> model;
  std::vector<double> encoder, step_1, step_5;
};

void encode(nn::Context& ctx, const pipeline::SpeechModel& model) {
  const nn::Scope scope(ctx);
  const nn::Tensor mel = ctx.allocate({model.encoder.frames(), model.encoder.n_mels()});
  std::fill_n(mel.f32(), mel.shape.elements(), 0.f);
  const nn::Tensor features = ctx.allocate({model.encoder.positions(), model.encoder.d_model()});
  model.encoder.run(ctx, mel, features);
}

double time_step(nn::Context& ctx, const pipeline::SpeechModel& model, int rows) {
  const decoder::CacheShape& shape = model.decoder.cache_shape();
  decoder::KvState state(shape, rows);
  const auto heard = std::make_shared<decoder::CrossState>(shape, model.encoder.positions());
  std::vector<decoder::Row> step;
  for (int slot = 0; slot < rows; ++slot) {
    state.reset(slot, heard);
    step.push_back({slot, model.tokenizer.special().sot, true});
  }
  return milliseconds([&] {
           for (int i = 0; i < kSteps; ++i) {
             const nn::Scope scope(ctx);
             model.decoder.step(ctx, state, step);
           }
         }) /
         kSteps;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const std::vector<std::string>& paths, nn::Precision precision, int threads,
             int repetitions) {
  std::vector<Measured> all;
  for (const std::string& path : paths)
    all.push_back({pipeline::SpeechModel::load(path, precision, threads), {}, {}, {}});
  nn::Context ctx({.threads = threads});
  for (int i = 0; i < repetitions; ++i) {
    for (Measured& m : all) {
      m.encoder.push_back(milliseconds([&] { encode(ctx, *m.model); }));
      m.step_1.push_back(time_step(ctx, *m.model, 1));
      m.step_5.push_back(time_step(ctx, *m.model, 5));
    }
  }
  for (const Measured& m : all) {
    std::cout << nlohmann::json{{"model", m.model->files.name()},
                                {"isa", nn::name_of(nn::isa())},
                                {"weights_bytes",
                                 m.model->encoder.bytes() + m.model->decoder.bytes()},
                                {"encoder_ms", median(m.encoder)},
                                {"step_ms_1", median(m.step_1)},
                                {"step_ms_5", median(m.step_5)}}
                     .dump()
              << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> models;
  int threads = 0;
  int repetitions = 7;
  nn::Precision precision = nn::Precision::kAuto;
  CLI::App app("Times forms of a speech-to-text model in turns.");
  app.add_option("models", models, "model folders")->required();
  bench::add_machine_options(app, threads, precision);
  app.add_option("--repetitions", repetitions)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  try {
    measure(models, precision, threads, repetitions);
  } catch (const std::exception& error) {
    std::cerr << "bench_storages: " << error.what() << "\n";
    return 3;
  }
}
