// Times the vocoder of a model: one utterance of random mel frames, several times. Prints one JSON
// object (bench/README.md).
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "nn/isa.h"
#include "vocoder/hifigan.h"

namespace {

using namespace parley;

struct Options {
  std::string model;
  int threads = 0;
  nn::Precision precision = nn::Precision::kAuto;
  int64_t frames = 500;
  int64_t block = 0;
  int runs = 3;
};

class Clock {
 public:
  double wall() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  // Of all threads: what other programs do meanwhile hardly counts.
  double cpu() const { return processor_seconds() - cpu_start_; }

 private:
  static double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double cpu_start_ = processor_seconds();
};

std::vector<float> random_mel(int64_t frames, int64_t bands) {
  std::mt19937 generator(0);
  std::normal_distribution<float> normal;
  std::vector<float> mel(static_cast<size_t>(frames * bands));
  for (float& value : mel) value = normal(generator);
  return mel;
}

nlohmann::json measure(const Options& options) {
  const Clock loading;
  const stage::Model model = stage::Model::open(options.model);
  nn::Context ctx({.threads = options.threads});
  const vocoder::HifiGan hifigan(model.stage("vocoder"), options.precision, ctx.team(),
                                 {.block_frames = options.block});
  nlohmann::json result = {{"load_ms", 1e3 * loading.wall()},
                           {"model", model.name()},
                           {"digest", model.digest()},
                           {"isa", nn::name_of(nn::isa())},
                           {"precision", nn::name_of(options.precision)},
                           {"threads", ctx.threads()},
                           {"block_frames", hifigan.block_frames()},
                           {"weights_bytes", hifigan.bytes()}};
  std::vector<float> memory = random_mel(options.frames, hifigan.n_mels());
  const nn::Tensor mel(memory.data(), {options.frames, hifigan.n_mels()}, nn::DType::kF32);
  const double audio = static_cast<double>(options.frames * hifigan.hop_length()) /
                       static_cast<double>(hifigan.mel().sample_rate);
  vocoder::synthesize(ctx, hifigan,
                      mel.slice_rows(0, std::min(options.frames, 2 * hifigan.block_frames())));
  for (int i = 0; i < options.runs; ++i) {
    const Clock clock;
    vocoder::synthesize(ctx, hifigan, mel);
    result["vocoder_rtf"].push_back(clock.wall() / audio);
    result["vocoder_cpu_rtf"].push_back(clock.cpu() / audio);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  result["peak_rss_bytes"] = usage.ru_maxrss * 1024;
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Times the vocoder of a model.");
  app.add_option("model", options.model, "model folder")->required();
  app.add_option("--threads", options.threads, "0: all processors");
  app.add_option("--precision", options.precision, "auto, f32 or bf16")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, nn::Precision>{{"auto", nn::Precision::kAuto},
                                               {"f32", nn::Precision::kF32},
                                               {"bf16", nn::Precision::kBF16}}));
  app.add_option("--frames", options.frames, "mel frames in the utterance")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--block-frames", options.block, "0: what the vocoder chooses");
  app.add_option("--runs", options.runs, "after one to warm up")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(options).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_tts: " << error.what() << "\n";
    return 3;
  }
}
