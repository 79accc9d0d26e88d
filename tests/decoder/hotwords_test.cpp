#include "parley/decoder/hotwords.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "parley/core/base/error.h"
#include "parley/tests/decoder/decoder_fixture.h"

namespace parley::decoder {
namespace {

struct HotwordTrie : testing::Test {
  test::GoldenModel golden{"english-128"};
  text::Tokenizer tokenizer = golden.tokenizer();

  // Where the text leads from the root; -1: nowhere.
  int node_of(const Hotwords& words, const std::string& text) const {
    int node = Hotwords::kRoot;
    for (const int32_t token : tokenizer.encode(text)) {
      const auto found = words.next(node).find(token);
      if (found == words.next(node).end()) return -1;
      node = found->second;
    }
    return node;
  }
  int32_t token(const std::string& text) const {
    const auto tokens = tokenizer.encode(text);
    EXPECT_EQ(tokens.size(), 1u) << text;
    return tokens.at(0);
  }
};

TEST_F(HotwordTrie, KnowsPhrasesByTheirTokens) {
  const std::vector<std::string> phrases = {"parley", " new york ", "new york city", ""};
  const Hotwords words(tokenizer, phrases, 2);
  for (const char* text : {" parley", " Parley", " new york", " new york city", " New york city"}) {
    const int node = node_of(words, text);
    ASSERT_GE(node, 0) << text;
    EXPECT_TRUE(words.complete(node)) << text;
  }
  EXPECT_EQ(node_of(words, "parley"), -1) << "within a word";
  EXPECT_EQ(node_of(words, " PARLEY"), -1);
  EXPECT_FALSE(words.complete(node_of(words, " new")));
  EXPECT_FALSE(words.next(node_of(words, " new york")).empty()) << "a city may follow";
  EXPECT_FALSE(words.complete(Hotwords::kRoot));
}

TEST_F(HotwordTrie, EveryPhraseBeginsWhereAWordBegins) {
  const std::vector<std::string> phrases = {"parley", "Ärzte", "한국", "Ấn", "東京"};
  const Hotwords words(tokenizer, phrases, 2);
  int within = 0;
  for (const auto& [first, node] : words.next(Hotwords::kRoot))
    within += tokenizer.bytes(first).starts_with(' ') ? 0 : 1;
  EXPECT_EQ(within, 1) << "of the one whose script has no spaces";
  EXPECT_GE(node_of(words, "東京"), 0);
}

// "Perl" is not in "Perlin".
TEST_F(HotwordTrie, APhraseEndsWhereAWordEnds) {
  const std::vector<std::string> phrases = {"in", "東京"};
  const Hotwords words(tokenizer, phrases, 2);
  const int node = node_of(words, " in");
  for (const char* next : {" the", ".", ",", "'", " "}) {
    EXPECT_TRUE(words.ends_before(node, token(next))) << next;
  }
  EXPECT_TRUE(words.ends_before(node, tokenizer.special().eot));
  EXPECT_TRUE(words.ends_before(node, tokenizer.special().timestamp_begin));
  for (const char* next : {"g", "t", "5", "é"})
    EXPECT_FALSE(words.ends_before(node, tokenizer.encode(next).front())) << next;
  EXPECT_TRUE(words.ends_before(node_of(words, "東京"), token("g")));
  EXPECT_FALSE(words.ends_before(Hotwords::kRoot, token(" the")));
}

TEST_F(HotwordTrie, NothingBecomesLikelierThanCertain) {
  const std::vector<std::string> phrases = {"parley"};
  const Hotwords words(tokenizer, phrases, 3);
  EXPECT_FLOAT_EQ(words.gain(-5), 3);
  EXPECT_FLOAT_EQ(words.gain(-0.5f), 0.5f);
  EXPECT_FLOAT_EQ(words.gain(0), 0);
}

TEST_F(HotwordTrie, RefusesTooMuch) {
  const std::vector<std::string> lengthy = {std::string(300, 'a')};
  EXPECT_THROW(Hotwords(tokenizer, lengthy, 1), Error);
  const std::vector<std::string> many(10001, "a");
  EXPECT_THROW(Hotwords(tokenizer, many, 1), Error);
  EXPECT_TRUE(Hotwords(tokenizer, std::vector<std::string>{" ", ""}, 1).empty());
}

struct HotwordSearch : testing::Test {
  test::DecoderFixture f{"english-128"};
  const text::SpecialTokens& special = f.tokenizer.special();

  DecodeTask task(const std::string& clip, int beam, const std::vector<std::string>& phrases,
                  float boost, const std::vector<int32_t>& suppressed = {}) {
    auto rules = std::make_shared<LogitRules>();
    rules->eot = special.eot;
    rules->no_timestamps = special.no_timestamps;
    rules->timestamp_begin = special.timestamp_begin;
    rules->timestamps = false;
    rules->suppressed = suppressed;
    DecodeTask task;
    task.cross = f.listen(clip);
    task.initial_tokens = {special.sot, special.no_timestamps};
    task.rules = rules;
    if (!phrases.empty()) task.hotwords = std::make_shared<Hotwords>(f.tokenizer, phrases, boost);
    task.beam = beam;
    task.max_tokens = 24;
    return task;
  }
  DecodeResult said(const DecodeTask& task) {
    Search search(f.decoder, special, 10);
    DecodeResult result = decode(f.ctx, search, {task}).at(0);
    EXPECT_EQ(search.free_slots(), 10);
    return result;
  }
  static bool holds(const DecodeResult& result, const std::vector<int32_t>& phrase) {
    return std::search(result.tokens.begin(), result.tokens.end(), phrase.begin(), phrase.end()) !=
           result.tokens.end();
  }
  static constexpr std::array<const char*, 7> kClips = {"vowels", "silence", "noise", "glide",
                                                        "tones",  "mixed",   "all"};
};

// A word that a random model would never say: with a boost that is large enough it does, whole, and
// with none its results are those without hotwords.
TEST_F(HotwordSearch, SaysABoostedWord) {
  const std::vector<std::string> phrases = {"just about"};
  const std::vector<int32_t> phrase = f.tokenizer.encode(" just about");
  for (const int beam : {1, 5}) {
    const DecodeResult plain = said(task("vowels", beam, {}, 0));
    const DecodeResult none = said(task("vowels", beam, phrases, 0));
    const DecodeResult hot = said(task("vowels", beam, phrases, 20));
    EXPECT_EQ(none.tokens, plain.tokens);
    EXPECT_NEAR(none.avg_logprob, plain.avg_logprob, 1e-5);
    EXPECT_FALSE(holds(plain, phrase));
    EXPECT_TRUE(holds(hot, phrase)) << beam;
    EXPECT_LT(hot.avg_logprob, 0) << "the model's own log-probability";
    EXPECT_LT(hot.avg_logprob, plain.avg_logprob + 0.5);
  }
}

// The last token of the phrase can never come: its beginning must leave no trace, in the text or in
// the choice of beams.
TEST_F(HotwordSearch, APhraseThatIsNotCompletedChangesNothing) {
  const std::vector<std::string> phrases = {"just about", "parley", "the other"};
  std::vector<int32_t> last;
  for (const std::string& phrase : phrases) last.push_back(f.tokenizer.encode(" " + phrase).back());
  for (const char* clip : kClips) {
    for (const int beam : {1, 2, 5}) {
      for (const float boost : {2.f, 6.f, 20.f}) {
        const DecodeResult plain = said(task(clip, beam, {}, 0, last));
        const DecodeResult hot = said(task(clip, beam, phrases, boost, last));
        EXPECT_EQ(hot.tokens, plain.tokens) << clip << " " << beam << " " << boost;
        EXPECT_NEAR(hot.sum_logprob, plain.sum_logprob, 1e-4);
      }
    }
  }
}

// A text changes only by whole phrases.
TEST_F(HotwordSearch, ATextThatChangesHoldsAPhrase) {
  const std::vector<std::string> phrases = {"just about", "parley", "in", "they are"};
  int changed = 0;
  for (const char* clip : kClips) {
    for (const int beam : {1, 5}) {
      for (const float boost : {1.f, 3.f, 6.f, 12.f}) {
        const DecodeResult plain = said(task(clip, beam, {}, 0));
        const DecodeResult hot = said(task(clip, beam, phrases, boost));
        if (hot.tokens == plain.tokens) continue;
        ++changed;
        bool held = false;
        for (const std::string& phrase : phrases) {
          for (const char first : {phrase[0], static_cast<char>(phrase[0] - 32)})
            held |= holds(hot, f.tokenizer.encode(" " + (first + phrase.substr(1))));
        }
        EXPECT_TRUE(held) << clip << " " << beam << " " << boost;
      }
    }
  }
  EXPECT_GT(changed, 0);
}

TEST_F(HotwordSearch, DoesNotDependOnCompany) {
  const std::vector<std::string> phrases = {"just about", "parley"};
  std::vector<DecodeTask> tasks;
  for (const char* clip : kClips) {
    tasks.push_back(task(clip, 5, phrases, 6));
    tasks.push_back(task(clip, 1, phrases, 12));
    tasks.push_back(task(clip, 2, {}, 0));
  }
  Search together(f.decoder, special, 27);
  const std::vector<DecodeResult> results = decode(f.ctx, together, tasks);
  for (size_t i = 0; i < tasks.size(); ++i) EXPECT_EQ(results[i].tokens, said(tasks[i]).tokens);
  EXPECT_EQ(together.free_slots(), 27);
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
