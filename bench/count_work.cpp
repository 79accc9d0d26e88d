// A fixed piece of work in four phases, for bench/work_gate.py, which counts their instructions
// under valgrind: loading, one window heard, a few steps of five beams, the beginning of a
// sentence. One thread, input made here.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/core/model/voices.h"
#include "parley/decoder/mel_generator.h"
#include "parley/decoder/search.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/text/spoken/utterances.h"

namespace {

using namespace parley;

constexpr int kBeams = 5;
constexpr int kTokens = 6;
constexpr int kMelSteps = 40;  // 1.3 s of speech
constexpr const char* kText = "The 3 boats came back at 7:30, and nobody had seen the storm.";
constexpr const char* kHeardLayer = "encoder.layers.0";  // the others are the same work

// Ends the encoder after kHeardLayer.
class StopAfterLayer : public nn::Observer {
 public:
  void layer(const std::string& name, const nn::Tensor&) override {
    if (name == kHeardLayer) stop.request_stop();
  }
  void operation(const nn::Operation&, double) override {}
  std::stop_source stop;
};

struct Work {
  std::filesystem::path models;
  nn::Context ctx{{.threads = 1}};
  std::vector<float> sound;  // 30 s of noise
  std::shared_ptr<const pipeline::SpeechModel> ears;
  std::shared_ptr<const pipeline::VoiceModel> voice;
  std::shared_ptr<const decoder::CrossState> heard;
};

std::vector<float> noise(size_t samples) {
  std::vector<float> sound(samples);
  uint32_t state = 1;
  for (float& sample : sound) {
    state = state * 1664525u + 1013904223u;
    sample = static_cast<float>(state >> 16) / 65536.f - 0.5f;
  }
  return sound;
}

}  // namespace

// Phases: functions that are not inlined, with names by which valgrind finds them.
extern "C" {

[[gnu::noinline]] void phase_load(Work& work) {
  work.ears = pipeline::SpeechModel::load(work.models / "parley-mini-en", nn::Precision::kAuto, 1);
  work.voice =
      pipeline::VoiceModel::load(work.models / "parley-mini-voice", nn::Precision::kAuto, 1);
}

// The front end, the convolutions, one layer, and what the decoder keeps of a window.
[[gnu::noinline]] void phase_window(Work& work) {
  const pipeline::SpeechModel& model = *work.ears;
  const nn::Scope scope(work.ctx);
  const nn::Tensor mel = work.ctx.allocate({model.encoder.frames(), model.encoder.n_mels()});
  model.log_mel.window(work.sound, mel);
  const nn::Tensor features =
      work.ctx.allocate({model.encoder.positions(), model.encoder.d_model()});
  std::fill_n(features.f32(), features.shape.elements(), 0.1f);
  StopAfterLayer watch;
  work.ctx.set_observer(&watch);
  work.ctx.set_stop_token(watch.stop.get_token());
  try {
    model.encoder.run(work.ctx, mel, features);
  } catch (const Stopped&) {
  }
  work.ctx.set_observer(nullptr);
  work.ctx.set_stop_token({});
  work.heard = model.decoder.listen(work.ctx, features);
}

// The end of the text is forbidden, so that the number of steps is fixed.
[[gnu::noinline]] void phase_decode(Work& work) {
  const pipeline::SpeechModel& model = *work.ears;
  const text::SpecialTokens& special = model.tokenizer.special();
  decoder::Search search(model.decoder, special, kBeams);
  const auto rules = std::make_shared<decoder::LogitRules>(
      decoder::LogitRules{.eot = special.eot,
                          .no_timestamps = special.no_timestamps,
                          .timestamp_begin = special.timestamp_begin,
                          .suppressed = {special.eot},
                          .suppressed_at_begin = {}});
  search.submit({.cross = work.heard,
                 .initial_tokens = {special.sot},
                 .rules = rules,
                 .beam = kBeams,
                 .max_tokens = kTokens});
  while (!search.idle()) search.step(work.ctx);
  if (search.steps() != kTokens) throw Error("decode", "took another number of steps");
}

// As pipeline::Synthesizer speaks, without its threads.
[[gnu::noinline]] void phase_sentence(Work& work) {
  const pipeline::VoiceModel& model = *work.voice;
  const stage::Stage& voices = model.files.stage("voices");
  text::UtteranceStream text(model.spoken_form);
  text.push(kText);
  text.finish();
  const std::vector<int32_t> tokens = model.tokens_of(text.next().value().spoken);
  const std::vector<float> speaker =
      model.decoder.speaker(work.ctx, stage::voice_vector(voices, stage::default_voice(voices)));
  decoder::MelGenerator generator(model.decoder);
  {
    const nn::Scope scope(work.ctx);
    generator.begin(model.decoder.listen(work.ctx, model.encoder.run(work.ctx, tokens)), speaker,
                    {});
  }
  std::vector<float> mel;
  for (int i = 0; i < kMelSteps; ++i) {
    if (!generator.advance(work.ctx, mel)) throw Error("sentence", "is over too soon");
  }
  decoder::PostnetStream postnet(model.postnet);
  std::vector<float> refined;
  postnet.push(work.ctx, mel, refined);
  postnet.finish(work.ctx, refined);
  const int64_t n_mels = model.mel.n_mels;
  vocoder::synthesize(work.ctx, std::get<vocoder::HifiGan>(model.vocoder),
                      {refined.data(), {std::ssize(refined) / n_mels, n_mels}, nn::DType::kF32});
}

// Valgrind writes down what was counted when it comes here.
[[gnu::noinline]] void end_of_phase() { asm volatile(""); }

}  // extern "C"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: count_work MODELS\n";
    return 2;
  }
  try {
    Work work;
    work.models = argv[1];
    work.sound = noise(30 * 16000);
    phase_load(work);
    end_of_phase();
    phase_window(work);
    end_of_phase();
    phase_decode(work);
    end_of_phase();
    phase_sentence(work);
    end_of_phase();
  } catch (const std::exception& error) {
    std::cerr << "count_work: " << error.what() << "\n";
    return 3;
  }
}
