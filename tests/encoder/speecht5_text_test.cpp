#include "parley/encoder/speecht5_text.h"

#include <gtest/gtest.h>

#include "parley/core/base/error.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::encoder {
namespace {

using nn::Tensor;

const test::GoldenVoice& golden(const std::string& name) {
  static const test::GoldenVoice small("small");
  static const test::GoldenVoice bin("bin");
  return name == "small" ? small : bin;
}

// Sentences longer and shorter than the relative positions reach.
TEST(SpeechT5TextEncoder, FeaturesAgreeWithTheReference) {
  for (const std::string name : {"small", "bin"}) {
    const test::GoldenVoice& voice = golden(name);
    nn::Context ctx({.threads = 2});
    const SpeechT5TextEncoder encoder(voice.model.stage("text_encoder"), nn::Precision::kF32,
                                      ctx.team());
    for (size_t text = 0; text < voice.facts["texts"].size(); ++text) {
      const nn::Scope scope(ctx);
      const Tensor features = encoder.run(ctx, voice.ids(text));
      EXPECT_LT(test::distance(features, voice.tensor("encoded", text)), 1e-4f) << name << text;
    }
  }
}

TEST(SpeechT5TextEncoder, OtherPrecisionsStayClose) {
  const test::GoldenVoice& voice = golden("small");
  for (const nn::Precision precision : {nn::Precision::kAuto, nn::Precision::kInt8}) {
    nn::Context ctx({.threads = 2});
    const SpeechT5TextEncoder encoder(voice.model.stage("text_encoder"), precision, ctx.team());
    const Tensor features = encoder.run(ctx, voice.ids(1));
    EXPECT_LT(test::distance(features, voice.tensor("encoded", 1)), 0.3f);
  }
}

TEST(SpeechT5TextEncoder, ThreadsChangeNothing) {
  const test::GoldenVoice& voice = golden("small");
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 3}) {
    nn::Context ctx({.threads = threads});
    const SpeechT5TextEncoder encoder(voice.model.stage("text_encoder"), nn::Precision::kF32,
                                      ctx.team());
    const Tensor features = encoder.run(ctx, voice.ids(1));
    results.emplace_back(features.f32(), features.f32() + features.shape.elements());
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(SpeechT5TextEncoder, TooLongTextsAndForeignTokensAreRefused) {
  const test::GoldenVoice& voice = golden("small");
  nn::Context ctx({.threads = 1});
  const SpeechT5TextEncoder encoder(voice.model.stage("text_encoder"), nn::Precision::kF32,
                                    ctx.team());
  const std::vector<int32_t> longest(static_cast<size_t>(encoder.max_tokens()), 5);
  EXPECT_NO_THROW(encoder.run(ctx, longest));
  EXPECT_THROW(encoder.run(ctx, std::vector<int32_t>(longest.size() + 1, 5)), Error);
  EXPECT_THROW(encoder.run(ctx, {}), Error);
  const auto refused = [&](int32_t token) {
    const std::vector<int32_t> tokens = {5, token, 2};
    EXPECT_THROW(encoder.run(ctx, tokens), Error) << token;
  };
  refused(-1);
  refused(static_cast<int32_t>(encoder.vocab_size()));
}

TEST(SpeechT5TextEncoder, StopsWhenAsked) {
  const test::GoldenVoice& voice = golden("small");
  std::stop_source stop;
  nn::Context ctx({.threads = 1, .stop = stop.get_token()});
  const SpeechT5TextEncoder encoder(voice.model.stage("text_encoder"), nn::Precision::kF32,
                                    ctx.team());
  stop.request_stop();
  EXPECT_THROW(encoder.run(ctx, voice.ids(0)), Stopped);
}

}  // namespace
}  // namespace parley::encoder
