// Times the stages of a text-to-speech model, several times: a random sentence through the text
// encoder, steps of the mel decoder, random mel frames through the vocoder. Prints one JSON object
// (bench/README.md).
#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "parley/bench/measure.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/decoder/mel_generator.h"
#include "parley/encoder/speecht5_text.h"
#include "parley/vocoder/hifigan.h"

namespace {

using namespace parley;
using bench::Clock;

struct Options {
  std::string model;
  int threads = 0;
  nn::Precision precision = nn::Precision::kAuto;
  int64_t frames = 500;
  int64_t block = vocoder::HifiGanOptions{}.block_frames;
  int64_t tokens = 100;
  int64_t steps = 200;
  int runs = 3;
};

std::vector<float> random_mel(int64_t frames, int64_t bands) {
  std::mt19937 generator(0);
  std::normal_distribution<float> normal;
  std::vector<float> mel(static_cast<size_t>(frames * bands));
  for (float& value : mel) value = normal(generator);
  return mel;
}

// The text encoder over `tokens` characters and `steps` steps of the mel decoder after it.
void measure_acoustic(const Options& options, const stage::Model& model, nn::Context& ctx,
                      nlohmann::json& result) {
  const encoder::SpeechT5TextEncoder encoder(model.stage("text_encoder"), options.precision,
                                             ctx.team());
  const decoder::SpeechT5MelDecoder decoder(model.stage("mel_decoder"), options.precision,
                                            ctx.team());
  std::vector<int32_t> tokens(static_cast<size_t>(options.tokens));
  std::mt19937 generator(0);
  for (int32_t& token : tokens)
    token = static_cast<int32_t>(generator() % static_cast<uint32_t>(encoder.vocab_size()));
  const std::vector<float> speaker =
      decoder.speaker(ctx, std::vector<float>(static_cast<size_t>(decoder.speaker_size()), 1.f));
  decoder::MelGenerator mel(decoder);
  for (int i = -1; i < options.runs; ++i) {
    const nn::Scope scope(ctx);
    const Clock encoding;
    const auto cross = decoder.listen(ctx, encoder.run(ctx, tokens));
    const double encoder_ms = 1e3 * encoding.seconds();
    mel.begin(cross, speaker, {.seed = 1, .guard = false});
    std::vector<float> frames;
    const Clock decoding;
    int64_t steps = 0;
    while (steps < options.steps && mel.advance(ctx, frames)) ++steps;
    if (i < 0 || steps == 0) continue;
    result["text_encoder_ms"].push_back(encoder_ms);
    result["mel_step_ms"].push_back(1e3 * decoding.seconds() / static_cast<double>(steps));
    result["mel_step_cpu_ms"].push_back(1e3 * decoding.processor_seconds() /
                                        static_cast<double>(steps));
  }
}

nlohmann::json measure(const Options& options) {
  const Clock loading;
  const stage::Model model = stage::Model::open(options.model);
  nn::Context ctx({.threads = options.threads});
  const vocoder::HifiGan hifigan(model.stage("vocoder"), options.precision, ctx.team(),
                                 {.block_frames = options.block});
  nlohmann::json result = {{"load_ms", 1e3 * loading.seconds()},
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
    result["vocoder_rtf"].push_back(clock.seconds() / audio);
    result["vocoder_cpu_rtf"].push_back(clock.processor_seconds() / audio);
  }
  if (model.has_stage("mel_decoder")) measure_acoustic(options, model, ctx, result);
  result["peak_rss_bytes"] = bench::peak_rss_bytes();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Times the stages of a text-to-speech model.");
  app.add_option("model", options.model, "model folder")->required();
  bench::add_machine_options(app, options.threads, options.precision);
  app.add_option("--frames", options.frames, "mel frames in the utterance")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--block-frames", options.block, "computed together");
  app.add_option("--tokens", options.tokens, "in the sentence")->check(CLI::Range(1, 1 << 14));
  app.add_option("--steps", options.steps, "of the mel decoder")->check(CLI::Range(1, 1 << 16));
  app.add_option("--runs", options.runs, "after one to warm up")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(options).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_tts: " << error.what() << "\n";
    return 3;
  }
}
