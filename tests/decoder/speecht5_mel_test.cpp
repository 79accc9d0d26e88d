#include "parley/decoder/speecht5_mel.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"
#include "parley/decoder/postnet.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::decoder {
namespace {

using nn::DType;
using nn::Tensor;

struct Fixture {
  test::GoldenVoice voice;
  nn::Context ctx;
  SpeechT5MelDecoder decoder;

  explicit Fixture(const std::string& name, nn::Precision precision = nn::Precision::kF32,
                   int threads = 2)
      : voice(name),
        ctx({.threads = threads}),
        decoder(voice.model.stage("mel_decoder"), precision, ctx.team()) {}

  std::shared_ptr<const CrossState> listen(size_t text) {
    return decoder.listen(ctx, voice.tensor("encoded", text));
  }
  const uint8_t* masks(int64_t step) const {
    return voice.tensors.tensor("masks").as<uint8_t>() + step * decoder.kept_size();
  }
};

struct Spoken {
  std::vector<float> frames;     // [steps * frames_per_step, n_mels]
  std::vector<float> stop;       // [steps]
  std::vector<float> attention;  // [steps, tokens]
};

// `steps` steps with the masks of the goldens.
Spoken speak(Fixture& f, KvState& state, int slot, size_t text, int64_t steps) {
  const std::vector<float> speaker = f.decoder.speaker(f.ctx, f.voice.speaker());
  const auto tokens = f.voice.ids(text).size();
  state.reset(slot, f.listen(text));
  Spoken spoken;
  std::vector<float> frame(static_cast<size_t>(f.decoder.n_mels()), 0.f);
  for (int64_t i = 0; i < steps; ++i) {
    const nn::Scope scope(f.ctx);
    spoken.attention.resize(spoken.attention.size() + tokens);
    const MelRow row{.slot = slot,
                     .frame = frame.data(),
                     .kept = f.masks(i),
                     .speaker = speaker.data(),
                     .attention = spoken.attention.data() + spoken.attention.size() - tokens};
    const SpeechT5MelDecoder::Step step = f.decoder.step(f.ctx, state, std::span(&row, 1));
    spoken.frames.insert(spoken.frames.end(), step.frames.f32(),
                         step.frames.f32() + step.frames.shape.elements());
    spoken.stop.push_back(step.stop.f32()[0]);
    std::copy_n(step.frames.row(f.decoder.frames_per_step() - 1), frame.size(), frame.begin());
  }
  return spoken;
}

Tensor view(const std::vector<float>& values, int64_t cols) {
  return {const_cast<float*>(values.data()),
          {static_cast<int64_t>(values.size()) / cols, cols},
          DType::kF32};
}

TEST(SpeechT5MelDecoder, EveryStepAgreesWithTheReference) {
  for (const std::string name : {"small", "bin"}) {
    Fixture f(name);
    KvState state(f.decoder.cache_shape(), 1);
    for (size_t text = 0; text < f.voice.facts["texts"].size(); ++text) {
      const Tensor expected = f.voice.tensor("before", text);
      const Tensor stops = f.voice.tensor("stop", text);
      const Spoken spoken = speak(f, state, 0, text, stops.rows());
      EXPECT_LT(test::distance(view(spoken.frames, f.decoder.n_mels()), expected), 1e-3f)
          << name << text;
      for (int64_t i = 0; i < stops.rows(); ++i) {
        float sum = 0;
        for (int64_t k = 0; k < stops.cols(); ++k) sum += stops.row(i)[k];
        EXPECT_NEAR(spoken.stop[static_cast<size_t>(i)], sum, 1e-3f) << name << text << " " << i;
      }
    }
  }
}

// The goldens hold every head's attention; guided models align by the first two of each layer.
TEST(SpeechT5MelDecoder, AttentionOfTheAlignmentHeadsIsTheReferences) {
  Fixture f("small");
  KvState state(f.decoder.cache_shape(), 1);
  const Tensor expected = f.voice.tensor("attention", 0);  // [steps, layers, heads, tokens]
  const int64_t steps = expected.shape[0];
  const int64_t heads = expected.shape[1] * expected.shape[2];
  const int64_t tokens = expected.shape[3];
  const Spoken spoken = speak(f, state, 0, 0, steps);
  for (int64_t i = 0; i < steps; ++i) {
    for (int64_t t = 0; t < tokens; ++t) {
      float mean = 0;
      for (int64_t h = 0; h < heads; ++h)
        mean += expected.f32()[(i * heads + h) * tokens + t] / static_cast<float>(heads);
      EXPECT_NEAR(spoken.attention[static_cast<size_t>(i * tokens + t)], mean, 1e-4f);
    }
  }
}

TEST(SpeechT5MelDecoder, OtherPrecisionsStayClose) {
  for (const nn::Precision precision : {nn::Precision::kAuto, nn::Precision::kInt8}) {
    Fixture f("small", precision);
    KvState state(f.decoder.cache_shape(), 1);
    const Tensor expected = f.voice.tensor("before", 0);
    const Spoken spoken = speak(f, state, 0, 0, expected.rows() / f.decoder.frames_per_step());
    double error = 0;
    double energy = 0;
    for (int64_t i = 0; i < expected.shape.elements(); ++i) {
      error += std::pow(spoken.frames[static_cast<size_t>(i)] - expected.f32()[i], 2);
      energy += std::pow(expected.f32()[i], 2);
    }
    EXPECT_LT(error, 0.05 * energy);  // random weights: sharp attention, errors that feed back
  }
}

// What a slot says depends neither on what it said before nor on its company.
TEST(SpeechT5MelDecoder, SentencesAreIndependent) {
  Fixture f("small");
  KvState state(f.decoder.cache_shape(), 2);
  const Spoken alone = speak(f, state, 0, 0, 8);
  speak(f, state, 0, 1, 20);
  EXPECT_EQ(speak(f, state, 0, 0, 8).frames, alone.frames);

  const std::vector<float> speaker = f.decoder.speaker(f.ctx, f.voice.speaker());
  state.reset(0, f.listen(1));
  state.reset(1, f.listen(0));
  std::vector<float> frames[2];
  std::vector<float> last[2];
  for (auto& frame : last) frame.assign(static_cast<size_t>(f.decoder.n_mels()), 0.f);
  for (int64_t i = 0; i < 8; ++i) {
    const nn::Scope scope(f.ctx);
    std::vector<MelRow> rows;
    for (int slot = 0; slot < 2; ++slot) {
      rows.push_back({.slot = slot,
                      .frame = last[slot].data(),
                      .kept = f.masks(i),
                      .speaker = speaker.data()});
    }
    const SpeechT5MelDecoder::Step step = f.decoder.step(f.ctx, state, rows);
    for (int slot = 0; slot < 2; ++slot) {
      const float* begin = step.frames.row(slot * f.decoder.frames_per_step());
      const float* end = begin + f.decoder.frames_per_step() * f.decoder.n_mels();
      frames[slot].insert(frames[slot].end(), begin, end);
      last[slot].assign(end - f.decoder.n_mels(), end);
    }
  }
  EXPECT_EQ(frames[1], alone.frames);
}

TEST(SpeechT5MelDecoder, StepLimitsFollowTheTextAndThePositions) {
  Fixture f("small");
  EXPECT_EQ(f.decoder.min_steps(50), 0);
  EXPECT_EQ(f.decoder.max_steps(15), 150);   // int(15 * 20 / 2)
  EXPECT_EQ(f.decoder.max_steps(100), 600);  // no more positions
}

TEST(SpeechT5MelDecoder, VoicesOfAnotherSizeAreRefused) {
  Fixture f("small");
  EXPECT_THROW(f.decoder.speaker(f.ctx, std::vector<float>(512, 1.f)), Error);
}

TEST(Postnet, WholeSentencesAgreeWithTheReference) {
  for (const std::string name : {"small", "bin"}) {
    Fixture f(name);
    const Postnet postnet(f.voice.model.stage("mel_decoder"), nn::Precision::kF32, f.ctx.team());
    const Tensor before = f.voice.tensor("before", 0);
    const Tensor after = postnet.run(f.ctx, before, 0, 0, before.rows(), before.rows());
    EXPECT_LT(test::distance(after, f.voice.tensor("after", 0)), 1e-3f);
  }
}

std::vector<float> stream(Fixture& f, const Postnet& postnet, const Tensor& frames,
                          const std::vector<int64_t>& sizes) {
  PostnetStream stream(postnet);
  std::vector<float> out;
  int64_t at = 0;
  for (size_t i = 0; at < frames.rows(); ++i) {
    const int64_t count = std::min(sizes[i % sizes.size()], frames.rows() - at);
    stream.push(f.ctx, {frames.row(at), static_cast<size_t>(count * frames.cols())}, out);
    at += count;
  }
  stream.finish(f.ctx, out);
  return out;
}

TEST(Postnet, TheSizesInWhichFramesComeChangeNothing) {
  Fixture f("small");
  const Postnet postnet(f.voice.model.stage("mel_decoder"), nn::Precision::kF32, f.ctx.team());
  const Tensor before = f.voice.tensor("before", 0);
  for (const int64_t count : {int64_t{1}, int64_t{9}, int64_t{17}, int64_t{42}, before.rows()}) {
    const Tensor frames = before.slice_rows(0, count);
    const std::vector<float> reference = stream(f, postnet, frames, {2});
    EXPECT_EQ(reference.size(), static_cast<size_t>(count * before.cols()));
    EXPECT_EQ(stream(f, postnet, frames, {1}), reference);
    EXPECT_EQ(stream(f, postnet, frames, {count}), reference);
    EXPECT_EQ(stream(f, postnet, frames, {3, 0, 11, 1}), reference);
    const Tensor whole = postnet.run(f.ctx, frames, 0, 0, count, count);
    EXPECT_LT(test::distance(view(reference, before.cols()), whole), 1e-5f) << count;
  }
}

}  // namespace
}  // namespace parley::decoder
