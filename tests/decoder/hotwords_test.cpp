#include "decoder/hotwords.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "tests/decoder/decoder_fixture.h"

namespace parley::decoder {
namespace {

struct HotwordTrie : testing::Test {
  test::GoldenModel golden{"english-128"};
  text::Tokenizer tokenizer = golden.tokenizer();

  // What a sequence gains by these tokens, and where it stands.
  std::pair<float, int> gain(const Hotwords& words, std::span<const int32_t> tokens) const {
    float sum = 0;
    int node = Hotwords::kRoot;
    for (const int32_t token : tokens) {
      const auto [next, gained] = words.advance(node, token);
      node = next;
      sum += gained;
    }
    return {sum, node};
  }
  float gain(const Hotwords& words, const std::string& text) const {
    return gain(words, tokenizer.encode(text)).first;
  }
  float length(const std::string& text) const {
    return static_cast<float>(tokenizer.encode(text).size());
  }
};

TEST_F(HotwordTrie, WholePhrasesGainAndBrokenOnesDoNot) {
  const std::vector<std::string> phrases = {"parley", " new york ", "new york city", ""};
  const Hotwords words(tokenizer, phrases, 2);
  ASSERT_GT(length(" parley"), 1);
  EXPECT_EQ(gain(words, " parley"), 2 * length(" parley"));
  EXPECT_EQ(gain(words, " Parley"), 2 * length(" Parley"));
  EXPECT_EQ(gain(words, " parley and parley"), 4 * length(" parley"));
  EXPECT_EQ(gain(words, " PARLEY and"), 0);
  EXPECT_EQ(gain(words, " new york"), 2 * length(" new york"));
  EXPECT_EQ(gain(words, " new york city"), 2 * length(" new york city"));
  // A complete phrase keeps its gain when the longer one is left; what was begun is lost.
  std::vector<int32_t> left = tokenizer.encode(" new york city");
  left.back() = tokenizer.special().eot;
  EXPECT_EQ(gain(words, left).first, 2 * length(" new york"));
  std::vector<int32_t> begun = tokenizer.encode(" parley");
  begun.pop_back();
  EXPECT_GT(gain(words, begun).first, 0);
  begun.push_back(tokenizer.special().eot);
  EXPECT_EQ(gain(words, begun).first, 0);
}

TEST_F(HotwordTrie, RaisesWhatBeginsOrContinuesAPhrase) {
  const std::vector<std::string> phrases = {"parley"};
  const Hotwords words(tokenizer, phrases, 3);
  const std::vector<int32_t> tokens = tokenizer.encode(" parley");
  std::vector<float> logits(static_cast<size_t>(tokenizer.size()), 1.f);
  logits[5] = -std::numeric_limits<float>::infinity();
  const int node = gain(words, std::span(tokens).first(1)).second;
  words.raise(node, logits);
  for (size_t i = 0; i < logits.size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    const bool hot = token == tokens[0] || token == tokens[1] || words.raised(0, token) > 0;
    if (i == 5) continue;
    EXPECT_EQ(logits[i], hot ? 4 : 1) << i;
    EXPECT_EQ(words.raised(node, token), hot ? 3 : 0);
  }
  EXPECT_TRUE(std::isinf(logits[5]));
  std::vector<float> few(3, 0.f);  // shorter than the ids
  words.raise(node, few);
}

TEST_F(HotwordTrie, RefusesTooMuch) {
  const std::vector<std::string> lengthy = {std::string(300, 'a')};
  EXPECT_THROW(Hotwords(tokenizer, lengthy, 1), Error);
  const std::vector<std::string> many(10001, "a");
  EXPECT_THROW(Hotwords(tokenizer, many, 1), Error);
  EXPECT_TRUE(Hotwords(tokenizer, std::vector<std::string>{" ", ""}, 1).empty());
}

// A word that a random model would never say: with a boost that is large enough it does, whole, and
// with none its results are those without hotwords.
TEST(HotwordSearch, SaysABoostedWord) {
  test::DecoderFixture f("english-128");
  const auto& special = f.tokenizer.special();
  auto rules = std::make_shared<LogitRules>();
  rules->eot = special.eot;
  rules->no_timestamps = special.no_timestamps;
  rules->timestamp_begin = special.timestamp_begin;
  rules->timestamps = false;
  const std::vector<std::string> phrases = {"just about"};
  const std::vector<int32_t> phrase = f.tokenizer.encode(" just about");
  const auto said = [&](std::shared_ptr<const Hotwords> words, int beam, float temperature) {
    DecodeTask task;
    task.cross = f.listen("vowels");
    task.initial_tokens = {special.sot, special.no_timestamps};
    task.rules = rules;
    task.hotwords = std::move(words);
    task.beam = beam;
    task.best_of = 3;
    task.temperature = temperature;
    task.max_tokens = 24;
    Search search(f.decoder, special, 5);
    return decode(f.ctx, search, {task}).at(0);
  };
  const auto holds = [&](const DecodeResult& result) {
    return std::search(result.tokens.begin(), result.tokens.end(), phrase.begin(), phrase.end()) !=
           result.tokens.end();
  };
  for (const float temperature : {0.f, 0.7f}) {
    for (const int beam : {1, 5}) {
      const DecodeResult plain = said(nullptr, beam, temperature);
      const DecodeResult none =
          said(std::make_shared<Hotwords>(f.tokenizer, phrases, 0.f), beam, temperature);
      const DecodeResult hot =
          said(std::make_shared<Hotwords>(f.tokenizer, phrases, 12.f), beam, temperature);
      EXPECT_EQ(none.tokens, plain.tokens);
      EXPECT_NEAR(none.avg_logprob, plain.avg_logprob, 1e-5);
      EXPECT_FALSE(holds(plain));
      EXPECT_TRUE(holds(hot)) << beam << " " << temperature;
      EXPECT_LT(hot.avg_logprob, 0) << "the model's own log-probability";
      EXPECT_LT(hot.avg_logprob, plain.avg_logprob + 0.5);
    }
  }
}

TEST(LoopGuard, KnowsLoopsFromSpeech) {
  constexpr int32_t kTimestamps = 1000;
  const auto repeated = [](std::vector<int32_t> period, int copies) {
    std::vector<int32_t> tokens = {1, 2, 3};
    for (int i = 0; i < copies; ++i) tokens.insert(tokens.end(), period.begin(), period.end());
    return tokens;
  };
  EXPECT_FALSE(ends_in_loop({}, kTimestamps));
  EXPECT_FALSE(ends_in_loop(repeated({7}, 39), kTimestamps));
  EXPECT_TRUE(ends_in_loop(repeated({7}, 40), kTimestamps));
  EXPECT_FALSE(ends_in_loop(repeated({7, 8, 9}, 13), kTimestamps));
  EXPECT_TRUE(ends_in_loop(repeated({7, 8, 9}, 14), kTimestamps));
  std::vector<int32_t> sentence;
  for (int32_t i = 0; i < 30; ++i) sentence.push_back(100 + i);
  EXPECT_FALSE(ends_in_loop(repeated(sentence, 3), kTimestamps));
  EXPECT_TRUE(ends_in_loop(repeated(sentence, 4), kTimestamps));
  std::vector<int32_t> timed;  // the same words again and again, at other times
  for (int32_t i = 0; i < 10; ++i)
    timed.insert(timed.end(), {kTimestamps + 2 * i, 5, 6, 7, 8, kTimestamps + 2 * i + 1});
  EXPECT_TRUE(ends_in_loop(timed, kTimestamps));
  EXPECT_EQ(without_loop(timed, kTimestamps), 7u) << "one copy, and the timestamps around it";
  EXPECT_EQ(without_loop(repeated({7, 8, 9}, 14), kTimestamps), 6u);
  auto over = repeated({7}, 50);
  over.push_back(8);
  EXPECT_FALSE(ends_in_loop(over, kTimestamps));
}

// The random models repeat themselves; with the guard they end, marked, and as they would have gone
// on.
TEST(LoopGuard, EndsSequencesThatRepeatThemselves) {
  test::DecoderFixture f("multilingual-80");
  const auto& special = f.tokenizer.special();
  auto rules = std::make_shared<LogitRules>();
  rules->eot = special.eot;
  rules->timestamp_begin = special.timestamp_begin;
  rules->timestamps = false;
  rules->suppressed = {special.eot};
  int looped = 0;
  for (const char* clip : {"vowels", "silence", "noise", "glide", "tones", "mixed", "all"}) {
    for (const int beam : {1, 5}) {
      const auto run = [&](bool guard) {
        DecodeTask task;
        task.cross = f.listen(clip);
        task.initial_tokens = {special.sot, special.language("en"), special.transcribe,
                               special.no_timestamps};
        task.rules = rules;
        task.beam = beam;
        task.stop_loops = guard;
        Search search(f.decoder, special, 5);
        auto result = decode(f.ctx, search, {task}).at(0);
        EXPECT_EQ(search.free_slots(), 5);
        return result;
      };
      const DecodeResult free = run(false);
      const DecodeResult guarded = run(true);
      EXPECT_FALSE(free.looped);
      EXPECT_EQ(free.tokens.size(), 224u);
      if (!guarded.looped) continue;
      ++looped;
      EXPECT_LT(guarded.tokens.size(), free.tokens.size());
      EXPECT_TRUE(ends_in_loop(guarded.tokens, special.timestamp_begin));
      if (beam == 1) {
        EXPECT_TRUE(std::equal(guarded.tokens.begin(), guarded.tokens.end(), free.tokens.begin()));
      }
    }
  }
  EXPECT_GE(looped, 2);
}

}  // namespace
}  // namespace parley::decoder
