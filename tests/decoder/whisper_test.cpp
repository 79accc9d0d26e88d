#include "parley/decoder/whisper.h"

#include <gtest/gtest.h>

#include <cmath>

#include "parley/core/base/error.h"
#include "parley/tests/decoder/decoder_fixture.h"

namespace parley::decoder {
namespace {

using nn::Precision;

std::vector<int32_t> prefix(const test::DecoderFixture& f) {
  const nn::Tensor stored = f.golden.tensors.tensor("prefix_tokens");
  return {stored.as<int32_t>(), stored.as<int32_t>() + stored.shape.elements()};
}

std::vector<Row> rows_of(int slot, std::span<const int32_t> tokens) {
  std::vector<Row> rows;
  for (const int32_t token : tokens) rows.push_back({slot, token, true});
  return rows;
}

class DecoderGolden : public testing::TestWithParam<const char*> {};

TEST_P(DecoderGolden, LogitsEqualTheReferenceInF32) {
  test::DecoderFixture f(GetParam());
  KvState state(f.decoder.cache_shape(), 2);
  state.reset(1, f.listen_to_mel(f.golden.mel("vowels")));
  const nn::Tensor expected = f.golden.tensors.tensor("logits");
  const nn::Tensor logits = f.decoder.step(f.ctx, state, rows_of(1, prefix(f)));
  ASSERT_EQ(logits.shape, expected.shape);
  double worst = 0;
  for (int64_t r = 0; r < expected.shape[0]; ++r) {
    for (int64_t n = 0; n < expected.shape[1]; ++n)
      worst = std::max<double>(worst, std::abs(logits.row(r)[n] - expected.row(r)[n]));
  }
  EXPECT_LT(worst, 1e-3);
}

// One pass over a prefix, and the same prefix token by token: the same logits, bit for bit.
TEST_P(DecoderGolden, StepsEqualOnePass) {
  for (const Precision precision : {Precision::kF32, Precision::kAuto}) {
    test::DecoderFixture f(GetParam(), precision);
    KvState state(f.decoder.cache_shape(), 2);
    state.reset(0, f.listen("vowels"));
    state.reset(1, f.listen("vowels"));
    std::vector<int32_t> tokens = prefix(f);
    for (int i = 0; i < 60; ++i)
      tokens.push_back(tokens[static_cast<size_t>(i) % 12]);  // beyond one block of the cache
    const nn::Tensor whole = f.decoder.step(f.ctx, state, rows_of(0, tokens));
    for (size_t i = 0; i < tokens.size(); ++i) {
      const nn::Scope scope(f.ctx);
      const nn::Tensor one =
          f.decoder.step(f.ctx, state, rows_of(1, std::span(tokens).subspan(i, 1)));
      ASSERT_TRUE(
          std::equal(one.row(0), one.row(0) + one.cols(), whole.row(static_cast<int64_t>(i))))
          << i;
    }
  }
}

// What a sequence says does not depend on the sequences beside it.
TEST_P(DecoderGolden, SequencesDoNotDisturbEachOther) {
  test::DecoderFixture f(GetParam(), Precision::kAuto);
  const std::vector<int32_t> tokens = prefix(f);
  KvState alone(f.decoder.cache_shape(), 1);
  alone.reset(0, f.listen("vowels"));
  const nn::Tensor expected = f.decoder.step(f.ctx, alone, rows_of(0, tokens));
  KvState many(f.decoder.cache_shape(), 12);
  for (int slot = 0; slot < 12; ++slot)
    many.reset(slot, slot % 3 == 0 ? f.listen("vowels") : f.listen("noise"));
  for (size_t i = 0; i < tokens.size(); ++i) {
    const nn::Scope scope(f.ctx);
    std::vector<Row> rows;
    for (int slot = 0; slot < 12; ++slot)
      rows.push_back(
          {slot, slot == 6 ? tokens[i] : tokens[(i + static_cast<size_t>(slot)) % tokens.size()],
           true});
    const nn::Tensor logits = f.decoder.step(f.ctx, many, rows);
    ASSERT_TRUE(std::equal(logits.row(6), logits.row(6) + logits.cols(),
                           expected.row(static_cast<int64_t>(i))));
  }
}

TEST_P(DecoderGolden, TruncatedAndForkedSequencesGoOnAsIfFresh) {
  test::DecoderFixture f(GetParam());
  const std::vector<int32_t> tokens = prefix(f);
  KvState state(f.decoder.cache_shape(), 3);
  for (int slot = 0; slot < 2; ++slot) state.reset(slot, f.listen("vowels"));
  const nn::Tensor expected = f.decoder.step(f.ctx, state, rows_of(0, tokens));
  f.decoder.step(f.ctx, state, rows_of(1, std::span(tokens).first(5)));
  f.decoder.step(f.ctx, state, rows_of(1, std::vector<int32_t>{tokens[0], tokens[0], tokens[0]}));
  state.truncate(1, 5);
  state.fork(1, 2);
  f.decoder.step(
      f.ctx, state,
      rows_of(1, std::vector<int32_t>{tokens[1]}));  // writes to a copy of the shared block
  const nn::Tensor rest = f.decoder.step(f.ctx, state, rows_of(2, std::span(tokens).subspan(5)));
  for (int64_t r = 0; r < rest.rows(); ++r) {
    ASSERT_TRUE(std::equal(rest.row(r), rest.row(r) + rest.cols(), expected.row(r + 5)));
  }
}

TEST_P(DecoderGolden, RefusesTokensOutsideItsVocabularyAndSequencesBeyondItsContext) {
  test::DecoderFixture f(GetParam());
  KvState state(f.decoder.cache_shape(), 1);
  state.reset(0, f.listen("vowels"));
  EXPECT_THROW(f.decoder.step(f.ctx, state, rows_of(0, std::vector<int32_t>{-1})), Error);
  EXPECT_THROW(f.decoder.step(f.ctx, state, rows_of(0, std::vector<int32_t>{1 << 20})), Error);
  EXPECT_THROW(f.decoder.step(f.ctx, state, rows_of(0, std::vector<int32_t>(449, 3))), Error);
}

TEST_P(DecoderGolden, DetectsLanguagesAsTheReference) {
  test::DecoderFixture f(GetParam());
  int checked = 0;
  for (const auto& [clip, facts] : f.golden.facts.at("clips").items()) {
    if (!facts.contains("language_probs")) continue;
    for (const auto& [code, probability] :
         detect_language(f.ctx, f.decoder, f.tokenizer.special(), f.listen(clip)).languages) {
      ASSERT_NEAR(probability, facts.at("language_probs").at(code).get<float>(), 1e-3)
          << clip << " " << code;
      ++checked;
    }
  }
  EXPECT_GT(checked, std::string(GetParam()) == "multilingual-80" ? 99 : -1);
}

INSTANTIATE_TEST_SUITE_P(
    Models, DecoderGolden, testing::Values("multilingual-80", "english-128"), [](const auto& info) {
      return std::string(info.param).substr(0, std::string(info.param).find('-'));
    });

}  // namespace
}  // namespace parley::decoder
