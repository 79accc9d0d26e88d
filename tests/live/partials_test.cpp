#include "parley/decoder/search.h"
#include "parley/pipeline/live/live_partials.h"
#include "parley/tests/live/live_fixture.h"

namespace parley::pipeline {
namespace {

SourceWindow beginning(const SpeechModel& model, const std::vector<float>& samples, int64_t end) {
  const std::span<const float> heard = std::span(samples).first(static_cast<size_t>(end));
  SourceWindow source{
      {.start = 0, .end = end},
      std::vector<float>(static_cast<size_t>(model.encoder.frames() * model.encoder.n_mels()))};
  model.log_mel.window(
      heard, nn::Tensor(source.mel.data(), {model.encoder.frames(), model.encoder.n_mels()},
                        nn::DType::kF32));
  return source;
}

struct Partials : testing::Test {
  std::shared_ptr<const SpeechModel> model = tiny_model();
  TranscribeOptions options = [] {
    TranscribeOptions options = quick_options().transcribe;
    options.compression_ratio_threshold = 1000;  // a random model repeats itself
    return options;
  }();
  nn::Context ctx{{.threads = 1}};
  std::vector<float> samples = golden_clips();
  const std::vector<Segment> nothing;

  std::optional<LivePartials::Text> pass(LivePartials& partials, double seconds) {
    return partials.pass(ctx, beginning(*model, samples, std::llround(seconds * 16000)), "en",
                         {nothing, 0, 0}, [] { return false; });
  }
};

// The draft saves work and changes nothing: every pass says what greedy search says.
TEST_F(Partials, TheTextIsThatOfGreedyDecoding) {
  const DecodePolicy policy(*model, options);
  decoder::Search search(model->decoder, model->tokenizer.special(), 1);
  LivePartials partials(*model, options);
  std::vector<int32_t> before;
  for (const double seconds : {1.0, 1.5, 2.0, 2.0, 2.5}) {
    SourceWindow source = beginning(*model, samples, std::llround(seconds * 16000));
    const auto greedy =
        decoder::decode(ctx, search, {policy.task(listen(ctx, *model, source.mel), {}, 0, 0)});
    // A fresh object has no draft; one that knows the window has.
    LivePartials fresh(*model, options);
    const auto without = pass(fresh, seconds);
    const auto with = pass(partials, seconds);
    ASSERT_TRUE(without && with);
    EXPECT_EQ(fresh.tokens(), greedy[0].tokens);
    // What was settled is kept; behind it both agree unless what was settled differs.
    const auto settled = static_cast<ptrdiff_t>(partials.settled());
    if (std::equal(partials.tokens().begin(), partials.tokens().begin() + settled,
                   greedy[0].tokens.begin(), greedy[0].tokens.end())) {
      EXPECT_EQ(partials.tokens(), greedy[0].tokens) << seconds;
    }
    EXPECT_LE(with->stable, with->text.size());
  }
}

TEST_F(Partials, ADraftThatStillHoldsIsReadInOneStep) {
  LivePartials partials(*model, options);
  const auto first = pass(partials, 2);
  const int64_t decoded = partials.decoded_tokens();
  ASSERT_GT(decoded, 3);
  EXPECT_EQ(first->stable, 0u);
  const auto second = pass(partials, 2);
  EXPECT_EQ(second->text, first->text);
  EXPECT_EQ(partials.decoded_tokens(), decoded + std::max<int64_t>(0, decoded - 64));
  EXPECT_GE(partials.verified_tokens(), std::min<int64_t>(decoded, 64));
}

TEST_F(Partials, WhatTwoPassesAgreeOnStays) {
  LivePartials partials(*model, options);
  std::string stable;
  size_t largest = 0;
  for (double seconds = 0.6; seconds < 4; seconds += 0.3) {
    const auto text = pass(partials, seconds);
    ASSERT_TRUE(text);
    EXPECT_TRUE(text->text.starts_with(stable)) << seconds;
    EXPECT_GE(text->stable, stable.size());
    stable = text->text.substr(0, text->stable);
    largest = std::max(largest, stable.size());
  }
  EXPECT_GT(largest, 0u);
}

TEST_F(Partials, AnotherWindowBeginsAnew) {
  LivePartials partials(*model, options);
  pass(partials, 2);
  pass(partials, 2);
  SourceWindow other = beginning(*model, samples, 32000);
  other.window.start += 16000;
  other.window.end += 16000;
  const auto text =
      partials.pass(ctx, std::move(other), "en", {nothing, 0, 0}, [] { return false; });
  ASSERT_TRUE(text);
  EXPECT_EQ(text->stable, 0u);
  EXPECT_DOUBLE_EQ(text->start, 1);
}

TEST_F(Partials, AbandonedPassesGiveNothing) {
  LivePartials partials(*model, options);
  EXPECT_FALSE(partials.pass(ctx, beginning(*model, samples, 32000), "en", {nothing, 0, 0},
                             [] { return true; }));
  EXPECT_TRUE(pass(partials, 2));
}

}  // namespace
}  // namespace parley::pipeline
