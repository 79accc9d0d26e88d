// Every decode that the reference made of the golden models (tests/golden/README.md), by our
// search.
#include "parley/decoder/search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parley/core/base/error.h"
#include "parley/tests/decoder/decoder_fixture.h"

namespace parley::decoder {
namespace {

using nlohmann::json;

constexpr int kSlots = 16;

struct Case {
  const json& facts;
  const json& options = facts.at("options");

  template <class T>
  T option(const char* name, T missing) const {
    return options.contains(name) && !options.at(name).is_null() ? options.at(name).get<T>()
                                                                 : missing;
  }
};

std::shared_ptr<const LogitRules> rules_for(const Case& c, const text::Tokenizer& tokenizer,
                                            const stage::Stage& decoder) {
  const text::SpecialTokens& special = tokenizer.special();
  auto rules = std::make_shared<LogitRules>();
  rules->eot = special.eot;
  rules->no_timestamps = special.no_timestamps;
  rules->timestamp_begin = special.timestamp_begin;
  if (c.option<std::string>("suppress_tokens", "-1") == "-1") {
    for (const int64_t id : decoder.config_ints("suppress_tokens", 0, 1 << 20))
      rules->suppressed.push_back(static_cast<int32_t>(id));
  }
  if (c.option("suppress_blank", true)) {
    rules->suppressed_at_begin = tokenizer.encode(" ");
    rules->suppressed_at_begin.push_back(special.eot);
  }
  rules->timestamps = !c.option("without_timestamps", false);
  const bool no_limit = c.options.contains("max_initial_timestamp") &&
                        c.options.at("max_initial_timestamp").is_null();
  rules->max_initial_timestamp_index = no_limit ? -1 : 50;
  return rules;
}

DecodeTask task_for(const Case& c, test::DecoderFixture& f) {
  DecodeTask task;
  task.cross = f.listen(c.facts.at("clip"));
  task.initial_tokens = c.facts.at("initial_tokens").get<std::vector<int32_t>>();
  const auto sot =
      std::find(task.initial_tokens.begin(), task.initial_tokens.end(), f.tokenizer.special().sot);
  task.sot_index = sot - task.initial_tokens.begin();
  task.rules = rules_for(c, f.tokenizer, f.golden.model.stage("decoder"));
  task.beam = c.option("beam_size", 1);
  task.patience = c.option("patience", 1.f);
  task.length_penalty = c.option("length_penalty", -1.f);
  task.max_tokens = c.option("sample_len", 224);
  return task;
}

void expect_equal(const DecodeResult& result, const Case& c) {
  EXPECT_EQ(result.tokens, c.facts.at("tokens").get<std::vector<int32_t>>())
      << c.facts.at("clip") << " " << c.options;
  EXPECT_NEAR(result.sum_logprob, c.facts.at("sum_logprob").get<double>(), 2e-3) << c.options;
  EXPECT_NEAR(result.avg_logprob, c.facts.at("avg_logprob").get<double>(), 1e-3) << c.options;
  EXPECT_NEAR(result.no_speech_prob, c.facts.at("no_speech_prob").get<double>(), 1e-4) << c.options;
}

class SearchGolden : public testing::TestWithParam<const char*> {};

TEST_P(SearchGolden, GivesTheTokensOfTheReferenceOneByOne) {
  test::DecoderFixture f(GetParam());
  int greedy = 0;
  int beams = 0;
  for (const json& facts : f.golden.facts.at("cases")) {
    const Case c{facts};
    Search search(f.decoder, f.tokenizer.special(), 5);
    expect_equal(decode(f.ctx, search, {task_for(c, f)}).at(0), c);
    ++(c.option("beam_size", 1) > 1 ? beams : greedy);
  }
  EXPECT_GE(greedy, 20);
  EXPECT_GE(beams, 20);
}

// All cases at once, joining and leaving as slots become free: the same tokens.
TEST_P(SearchGolden, GivesTheSameTokensInOneBatch) {
  test::DecoderFixture f(GetParam());
  std::vector<DecodeTask> tasks;
  for (const json& facts : f.golden.facts.at("cases")) tasks.push_back(task_for(Case{facts}, f));
  for (const int slots : {5, kSlots}) {
    Search search(f.decoder, f.tokenizer.special(), slots);
    const std::vector<DecodeResult> results = decode(f.ctx, search, tasks);
    for (size_t i = 0; i < results.size(); ++i)
      expect_equal(results[i], Case{f.golden.facts.at("cases").at(i)});
    EXPECT_EQ(search.free_slots(), slots);
  }
}

TEST_P(SearchGolden, SamplesDependOnTheirSeedAndNotOnTheirCompany) {
  test::DecoderFixture f(GetParam());
  const Case c{f.golden.facts.at("cases").at(0)};
  std::vector<DecodeTask> tasks;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    DecodeTask task = task_for(c, f);
    task.temperature = 0.8f;
    task.best_of = seed % 2 == 0 ? 3 : 1;
    task.seed = seed;
    tasks.push_back(task);
  }
  Search together(f.decoder, f.tokenizer.special(), kSlots);
  const auto batch = decode(f.ctx, together, tasks);
  for (size_t i = 0; i < tasks.size(); ++i) {
    Search alone(f.decoder, f.tokenizer.special(), 3);
    EXPECT_EQ(decode(f.ctx, alone, {tasks[i]}).at(0).tokens, batch[i].tokens);
    if (i > 0) {
      EXPECT_NE(batch[i].tokens, batch[i - 1].tokens);
    }
    EXPECT_EQ(batch[i].temperature, 0.8f);
  }
}

// Frequencies of the first sampled token against softmax(logits / temperature): chi-square over the
// likely tokens.
TEST_P(SearchGolden, SamplesFollowTheDistribution) {
  test::DecoderFixture f(GetParam());
  const Case c{f.golden.facts.at("cases").at(0)};
  DecodeTask task = task_for(c, f);
  task.max_tokens = 1;
  task.temperature = 0.5f;
  KvState state(f.decoder.cache_shape(), 1);
  state.reset(0, task.cross);
  std::vector<Row> rows;
  for (const int32_t token : task.initial_tokens)
    rows.push_back({0, token, token == task.initial_tokens.back()});
  const nn::Tensor logits = f.decoder.step(f.ctx, state, rows);
  const std::span<float> row(logits.row(0), static_cast<size_t>(logits.cols()));
  task.rules->apply(row, {});
  const float maximum = *std::max_element(row.begin(), row.end());
  double total = 0;
  std::vector<double> expected;
  for (const float logit : row) total += expected.emplace_back(std::exp((logit - maximum) / 0.5));

  constexpr int kDraws = 1500;
  std::vector<DecodeTask> tasks(kDraws, task);
  for (int i = 0; i < kDraws; ++i) tasks[static_cast<size_t>(i)].seed = static_cast<uint64_t>(i);
  Search search(f.decoder, f.tokenizer.special(), kSlots);
  std::vector<int> counts(row.size());
  for (const DecodeResult& result : decode(f.ctx, search, tasks))
    ++counts[static_cast<size_t>(result.tokens.at(0))];
  double chi_square = 0;
  int cells = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const double mean = expected[i] / total * kDraws;
    if (!std::isfinite(row[i])) {
      ASSERT_EQ(counts[i], 0) << "a forbidden token was drawn";
    }
    if (mean < 5) continue;
    chi_square += (counts[i] - mean) * (counts[i] - mean) / mean;
    ++cells;
  }
  ASSERT_GT(cells, 3);
  EXPECT_LT(chi_square, cells + 5 * std::sqrt(2.0 * cells));
}

TEST_P(SearchGolden, RefusesWhatDoesNotFit) {
  test::DecoderFixture f(GetParam());
  Search search(f.decoder, f.tokenizer.special(), 2);
  const Case c{f.golden.facts.at("cases").at(0)};
  DecodeTask wide = task_for(c, f);
  wide.beam = 3;
  EXPECT_THROW(search.submit(wide), Error);
  DecodeTask lengthy = task_for(c, f);
  lengthy.initial_tokens.assign(448, 1);
  EXPECT_THROW(search.submit(lengthy), Error);
  DecodeTask nothing = task_for(c, f);
  nothing.initial_tokens.clear();
  EXPECT_THROW(search.submit(nothing), Error);
  EXPECT_TRUE(search.idle());
}

INSTANTIATE_TEST_SUITE_P(
    Models, SearchGolden, testing::Values("multilingual-80", "english-128"), [](const auto& info) {
      return std::string(info.param).substr(0, std::string(info.param).find('-'));
    });

}  // namespace
}  // namespace parley::decoder
