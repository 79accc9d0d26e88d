#include "parley/pipeline/stt/decode_policy.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "parley/pipeline/stt/windowed_transcript.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;

std::vector<int32_t> numbers(int32_t first, int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

std::vector<int32_t> operator+(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(RepeatsPrompt, KnowsThePromptFromSpeechAboutIt) {
  const std::vector<int32_t> prompt = numbers(10, 40);
  EXPECT_FALSE(repeats_prompt({}, prompt));
  EXPECT_FALSE(repeats_prompt(numbers(100, 30), prompt)) << "other text";
  EXPECT_TRUE(repeats_prompt(numbers(15, 12), prompt)) << "a part of it";
  EXPECT_TRUE(repeats_prompt(numbers(40, 10) + numbers(10, 30), prompt)) << "from end to start";
  EXPECT_FALSE(repeats_prompt(numbers(20, 7), prompt)) << "a short sentence may be said twice";
  const std::vector<int32_t> name = numbers(20, 5);
  EXPECT_FALSE(repeats_prompt(numbers(100, 8) + name + numbers(200, 8) + name, prompt)) << "names";
  const std::vector<int32_t> words = {1, 2, 1, 2, 1, 2, 1, 2, 1, 2};
  EXPECT_TRUE(repeats_prompt(words + words + words, words)) << "a loop of a list of one word";
  EXPECT_FALSE(repeats_prompt(numbers(10, 40), {}));
}

struct Prompts : RandomModel {
  // The model, with max_prompt_tokens in its manifest.
  std::shared_ptr<const SpeechModel> limited(int max_prompt_tokens) {
    load("english-128");
    const auto path = folder.path() / "english-128/decoder/stage.json";
    nlohmann::json stage = nlohmann::json::parse(std::ifstream(path));
    stage["config"]["max_prompt_tokens"] = max_prompt_tokens;
    std::ofstream(path) << stage;
    return SpeechModel::load(folder.path() / "english-128", nn::Precision::kF32, 1);
  }
  static std::vector<int32_t> prompt_of(const decoder::DecodeTask& task) {
    return {task.initial_tokens.begin(), task.initial_tokens.begin() + task.sot_index};
  }
};

TEST_F(Prompts, AreCutToWhatTheModelWasTrainedWith) {
  std::string prompt = "all the words";
  const auto unlimited = load("english-128");
  const int32_t before = unlimited->tokenizer.special().sot_prev;
  {
    const DecodePolicy policy(*unlimited, {.prompt = prompt});
    EXPECT_EQ(prompt_of(policy.task(nullptr, policy.initial_prompt(), 0, 0)),
              std::vector<int32_t>{before} + policy.initial_prompt());
    EXPECT_TRUE(policy.notices().empty());
  }
  for (int i = 0; i < 100; ++i) prompt += " and the words";
  for (const int most : {-1, 20, 0}) {
    const auto model = most < 0 ? unlimited : limited(most);
    const DecodePolicy policy(*model, {.prompt = prompt});
    const std::vector<int32_t>& all = policy.initial_prompt();
    const int taken = most < 0 ? 223 : most;
    ASSERT_GT(all.size(), 223u);
    const std::vector<int32_t> given = prompt_of(policy.task(nullptr, all, 0, 0));
    if (taken == 0) {
      EXPECT_TRUE(given.empty());
    } else {
      EXPECT_EQ(given,
                std::vector<int32_t>{before} + std::vector<int32_t>(all.end() - taken, all.end()));
    }
    ASSERT_EQ(policy.notices().size(), 1u);
    const std::string said = taken == 0 ? "left out" : "last " + std::to_string(taken);
    EXPECT_NE(policy.notices()[0].find(said), std::string::npos) << policy.notices()[0];
    EXPECT_TRUE(DecodePolicy(*model, {}).notices().empty());
  }
  EXPECT_NE(test::error_of([&] { DecodePolicy(*limited(-1), {}); }).find("max_prompt_tokens"),
            std::string::npos);
}

TEST_F(Prompts, NoticesReachTheTranscriptAndAModelWithoutIsNotConditioned) {
  const auto model = limited(0);
  const auto path = long_file();
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    Transcriber transcriber(model, 1);
    const auto run = [&](const std::string& prompt, bool condition) {
      return transcriber.transcribe(dsp::AudioReader::open(path),
                                    {.strategy = strategy,
                                     .beam = 1,
                                     .temperatures = {0},
                                     .prompt = prompt,
                                     .condition_on_previous_text = condition,
                                     .no_speech_threshold = 1});
    };
    const Transcript plain = run("", false);
    const Transcript prompted = run("some words before", true);
    ASSERT_FALSE(plain.segments.empty());
    EXPECT_EQ(tokens_of(prompted), tokens_of(plain));
    EXPECT_TRUE(plain.notices.empty());
    ASSERT_EQ(prompted.notices.size(), 1u);
  }
}

TEST_F(Prompts, ThatMisleadAreTakenAway) {
  const auto model = load("english-128");
  const int32_t time = model->tokenizer.special().timestamp_begin;
  const DecodePolicy policy(*model, {.prompt = "one two three four five six seven eight nine"});
  const std::vector<int32_t>& prompt = policy.initial_prompt();
  ASSERT_GE(prompt.size(), 9u);
  const auto said = [&](const std::vector<int32_t>& tokens) {
    return decoder::DecodeResult{.tokens = std::vector<int32_t>{time} + tokens +
                                           std::vector<int32_t>{time + 50}};
  };
  EXPECT_TRUE(policy.misled(said(prompt), prompt, true));
  EXPECT_TRUE(policy.misled(said(prompt + prompt), prompt, false));
  EXPECT_FALSE(policy.misled(said(prompt), {}, true)) << "there is no prompt";
  EXPECT_FALSE(
      policy.misled(said(model->tokenizer.encode(" something else is said here")), prompt, true));
  EXPECT_TRUE(policy.misled(said({}), prompt, true)) << "nothing, although there is speech";
  EXPECT_FALSE(policy.misled(said({}), prompt, false));
}

TEST_F(Prompts, AnEmptyResultFailsWhereThereIsSpeech) {
  const auto model = load("english-128");
  const DecodePolicy policy(*model, {});
  const int32_t time = model->tokenizer.special().timestamp_begin;
  decoder::DecodeResult result{.tokens = {time, time + 50}};
  EXPECT_TRUE(policy.accepts(result));
  EXPECT_FALSE(policy.accepts(result, true));
  result.no_speech_prob = 0.7f;
  EXPECT_TRUE(policy.accepts(result, true)) << "the model is sure that nobody speaks";
}

TEST_F(Prompts, HotwordsAreNoReasonToFail) {
  const auto model = load("english-128");
  const DecodePolicy policy(*model, {});
  decoder::DecodeResult result{.tokens = model->tokenizer.encode(" one two three")};
  const auto count = static_cast<double>(result.tokens.size() + 1);
  result.avg_logprob = -1.5;
  EXPECT_FALSE(policy.accepts(result));
  result.gain = 0.6 * count;
  EXPECT_TRUE(policy.accepts(result));
}

// A window whose text is the prompt's is decoded again: without the prompt, and from the first
// temperature on.
TEST_F(Prompts, AWindowIsHeardAgainWithoutThem) {
  const auto model = load("english-128");
  const TranscribeOptions options = {.prompt = "one two three four five six seven eight nine"};
  const TranscribeEvents events;
  const auto engine = start_speech_engine(model, start_engine(1));
  Listener listener(*engine, Urgency::kFile, {});
  const std::vector<float> mel(
      static_cast<size_t>(model->encoder.frames() * model->encoder.n_mels()));
  const DecodePolicy policy(*model, options);
  WindowedTranscript text(*model, options, events, policy);
  text.add(listener, {.window = {.start = 0, .end = 160000}}, listener.encode(mel));
  ASSERT_EQ(text.take_ready(), std::vector<int64_t>{0});
  EXPECT_GT(text.task(0).sot_index, 0);
  const std::vector<int32_t> other = model->tokenizer.encode(" other words");
  EXPECT_FALSE(text.take(listener, 0, {.tokens = other, .avg_logprob = -5})) << "unlikely";
  EXPECT_GT(text.task(0).temperature, 0);
  EXPECT_GT(text.task(0).sot_index, 0) << "with the prompt still";
  EXPECT_FALSE(text.take(listener, 0, {.tokens = policy.initial_prompt(), .avg_logprob = -0.1}));
  EXPECT_EQ(text.task(0).sot_index, 0) << "without";
  EXPECT_EQ(text.task(0).temperature, 0);
  EXPECT_TRUE(text.take(listener, 0, {.tokens = policy.initial_prompt(), .avg_logprob = -0.1}));
  text.settle();
  EXPECT_EQ(text.finish({}).segments.size(), 1u) << "it is what is said";
}

TEST_F(Prompts, AWindowThatStaysEmptyIsReported) {
  const auto model = load("english-128");
  const TranscribeOptions options = {.temperatures = {0}};
  const TranscribeEvents events;
  const auto engine = start_speech_engine(model, start_engine(1));
  Listener listener(*engine, Urgency::kFile, {});
  const std::vector<float> mel(
      static_cast<size_t>(model->encoder.frames() * model->encoder.n_mels()));
  WindowedTranscript text(*model, options, events, DecodePolicy(*model, options));
  text.add(listener, {.window = {.start = 16000, .end = 160000}, .speech = {{{16000, 160000}, 1}}},
           listener.encode(mel));
  EXPECT_TRUE(text.take(listener, 0, {.tokens = {}, .avg_logprob = -0.1}));
  text.settle();
  const Transcript transcript = text.finish({});
  ASSERT_EQ(transcript.rejected.size(), 1u);
  EXPECT_EQ(transcript.rejected[0].reason, "unheard");
  EXPECT_EQ(transcript.rejected[0].start, 1);
  EXPECT_EQ(transcript.rejected[0].end, 10);
}

}  // namespace
}  // namespace parley::pipeline
