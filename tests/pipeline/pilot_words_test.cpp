// Word times of real speech against the published implementation with the same weights
// (tests/golden/make_pilot_words.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "parley/decoder/word_alignment.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/pipeline/pilot.h"

namespace parley::pipeline {
namespace {

struct TimedText {
  std::vector<int32_t> tokens;
  std::vector<Word> words;
};

// By path below the corpus.
std::map<std::string, TimedText> read_expected() {
  std::map<std::string, TimedText> expected;
  std::string line;
  std::ifstream words(test::source_path("tests/golden/pilot_en_words.tsv"));
  for (std::getline(words, line); std::getline(words, line);) {
    const auto f = test::fields_of(line);
    expected[f.at(0)].words.push_back({.word = f.at(1),
                                       .start = std::stod(f.at(2)),
                                       .end = std::stod(f.at(3)),
                                       .probability = std::stof(f.at(4))});
  }
  std::ifstream table(test::source_path("tests/golden/pilot_en_reference.tsv"));
  std::getline(table, line);
  const auto names = test::fields_of(line);
  const auto column =
      static_cast<size_t>(std::find(names.begin(), names.end(), "tokens") - names.begin());
  while (std::getline(table, line)) {
    const auto f = test::fields_of(line);
    const auto found = expected.find(f.at(0));
    if (found == expected.end()) continue;
    std::istringstream tokens(f.at(column));
    for (int32_t token = 0; tokens >> token;) found->second.tokens.push_back(token);
  }
  return expected;
}

class PilotWords : public test::Pilot {};

TEST_F(PilotWords, AreWithin20MsOfThePublishedImplementation) {
  const auto model = SpeechModel::load(this->model(), nn::Precision::kF32);
  nn::Context ctx;
  const nn::Tensor mel = ctx.allocate({model->encoder.frames(), model->encoder.n_mels()});
  const nn::Tensor features = ctx.allocate({model->encoder.positions(), model->encoder.d_model()});
  const text::SpecialTokens& special = model->tokenizer.special();

  const auto expected = read_expected();
  ASSERT_GE(expected.size(), 20u);
  size_t words = 0;
  size_t equal = 0;
  for (const auto& [path, truth] : expected) {
    const std::vector<float> samples = test::as_golden(corpus / path);
    model->log_mel.window(samples, mel);
    model->encoder.run(ctx, mel, features);
    const auto aligned = decoder::align_words(ctx, model->decoder, model->tokenizer,
                                              {.cross = model->decoder.listen(ctx, features),
                                               .start = {special.sot, special.no_timestamps},
                                               .texts = {truth.tokens},
                                               .language = "en",
                                               .positions = std::ssize(samples) / 160 / 2})
                             .at(0);
    ASSERT_EQ(aligned.size(), truth.words.size()) << path;
    for (size_t i = 0; i < aligned.size(); ++i, ++words) {
      EXPECT_EQ(aligned[i].text, truth.words[i].word) << path;
      EXPECT_NEAR(aligned[i].from, truth.words[i].start, 0.0201) << path << aligned[i].text;
      EXPECT_NEAR(aligned[i].to, truth.words[i].end, 0.0201) << path << aligned[i].text;
      EXPECT_NEAR(aligned[i].probability, truth.words[i].probability, 0.01) << path;
      equal += std::abs(aligned[i].from - truth.words[i].start) < 1e-6 &&
               std::abs(aligned[i].to - truth.words[i].end) < 1e-6;
    }
  }
  std::printf("%zu of %zu words have exactly the reference's times\n", equal, words);
}

}  // namespace
}  // namespace parley::pipeline
