#include "parley/decoder/mel_generator.h"

#include <gtest/gtest.h>

#include "parley/decoder/postnet.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::decoder {
namespace {

using nn::Tensor;

struct Fixture {
  test::GoldenVoice voice;
  nn::Context ctx{{.threads = 2}};
  SpeechT5MelDecoder decoder{voice.model.stage("mel_decoder"), nn::Precision::kF32, ctx.team()};
  std::vector<float> speaker = decoder.speaker(ctx, voice.speaker());

  MelOptions fed() const {
    const Tensor masks = voice.tensors.tensor("masks");
    const auto size = static_cast<size_t>(decoder.kept_size());
    return {.guard = false, .dropout = [masks, size](int64_t step, std::span<uint8_t> kept) {
              std::copy_n(masks.as<uint8_t>() + static_cast<size_t>(step) * size, size,
                          kept.data());
            }};
  }

  struct Sentence {
    std::vector<float> mel;
    MelReport report;
    int64_t advances = 0;
  };
  Sentence speak(MelGenerator& generator, size_t text, MelOptions options) {
    Sentence sentence;
    generator.begin(decoder.listen(ctx, voice.tensor("encoded", text)), speaker,
                    std::move(options));
    bool more = true;
    while (more) {
      more = generator.advance(ctx, sentence.mel);
      ++sentence.advances;
    }
    sentence.report = generator.report();
    return sentence;
  }
};

TEST(MelGenerator, SpeaksAndStopsLikeTheReference) {
  Fixture f;
  MelGenerator generator(f.decoder);
  const auto sentence = f.speak(generator, 0, f.fed());
  const Tensor expected = f.voice.tensor("spectrogram", 0);  // generate_speech(), postnet included
  EXPECT_EQ(sentence.report.steps, f.voice.facts["stop_step"].get<int64_t>());
  ASSERT_EQ(sentence.mel.size(), static_cast<size_t>(expected.shape.elements()));
  const Postnet postnet(f.voice.model.stage("mel_decoder"), nn::Precision::kF32, f.ctx.team());
  PostnetStream stream(postnet);
  std::vector<float> refined;
  stream.push(f.ctx, sentence.mel, refined);
  stream.finish(f.ctx, refined);
  EXPECT_LT(test::distance(Tensor(refined.data(), expected.shape, nn::DType::kF32), expected),
            1e-3f);
}

TEST(MelGenerator, TheSeedAndTheSentenceDecide) {
  Fixture f;
  MelGenerator generator(f.decoder);
  const auto mel = [&](uint64_t seed, uint32_t sentence, size_t text = 0) {
    return f.speak(generator, text, {.seed = seed, .sentence = sentence}).mel;
  };
  const auto first = mel(1, 0);
  mel(9, 9, 1);  // what is said in between does not matter
  EXPECT_EQ(mel(1, 0), first);
  EXPECT_NE(mel(2, 0), first);
  EXPECT_NE(mel(1, 1), first);
}

// Random weights attend anywhere: the guard takes steps back, and the sentence still ends.
TEST(MelGenerator, GuardedSpeechEndsAndIsReported) {
  Fixture f;
  MelGenerator generator(f.decoder);
  const auto guarded = f.speak(generator, 1, {.seed = 1, .guard = true});
  EXPECT_GT(guarded.report.retries, 0);
  EXPECT_LE(guarded.report.retries, 2);
  EXPECT_FALSE(guarded.report.problem.empty());
  EXPECT_GT(guarded.mel.size(), 0u);
  const auto again = f.speak(generator, 1, {.seed = 1, .guard = true});
  EXPECT_EQ(again.mel, guarded.mel);
  const auto free = f.speak(generator, 1, {.seed = 1, .guard = false});
  EXPECT_EQ(free.report.retries, 0);
  EXPECT_EQ(free.report.problem, "");
}

// Whoever told where words begin hears where to go on.
TEST(MelGenerator, SpeechThatIsGivenUpEndsAtAWord) {
  Fixture f;
  MelGenerator generator(f.decoder);
  const std::vector<int64_t> words = {2, 5, 9};
  const auto tokens = static_cast<int64_t>(f.voice.ids(1).size());
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const auto stands = f.speak(generator, 1, {.seed = seed, .guard = true});
    EXPECT_EQ(stands.report.said, tokens);
    const auto given_up = f.speak(generator, 1, {.seed = seed, .guard = true, .words = words});
    const int64_t said = given_up.report.said;
    EXPECT_TRUE(said == 0 || said == tokens || std::ranges::find(words, said) != words.end())
        << said;
    EXPECT_LE(given_up.mel.size(), stands.mel.size());
    if (said < tokens) {
      EXPECT_FALSE(given_up.report.problem.empty());
    }
  }
}

TEST(AlignmentWatch, KnowsTheStepsToEachCharacter) {
  AlignmentWatch watch(20);
  std::vector<float> attention(20);
  for (const size_t focus : {0, 0, 1, 3, 3, 2, 4}) {
    attention.assign(20, 0.f);
    attention[focus] = 1;
    EXPECT_EQ(watch.observe(attention), Alignment::kFine);
  }
  EXPECT_EQ(watch.steps_to(0), 0);
  EXPECT_EQ(watch.steps_to(1), 2);
  EXPECT_EQ(watch.steps_to(2), 3) << "skipped: with the next one";
  EXPECT_EQ(watch.steps_to(4), 6);
  EXPECT_EQ(watch.steps_to(5), 7) << "not yet";
  EXPECT_EQ(watch.reached_after(0), 0);
  EXPECT_EQ(watch.reached_after(6), 3);
  EXPECT_EQ(watch.progress(), 7);
}

// "One two twelve ten.": tokens with a blank before each word.
TEST(AlignmentWatch, SkippedWordsAreSeen) {
  const std::vector<int64_t> words = {4, 8, 15};
  const auto watched = [&](int64_t skip_from, int64_t skip_to) {
    AlignmentWatch watch(21, words);
    std::vector<float> attention(21);
    for (int64_t character = 0; character < 20; ++character) {
      if (character >= skip_from && character < skip_to) continue;
      for (int step = 0; step < 2; ++step) {
        attention.assign(21, 0.f);
        attention[static_cast<size_t>(character)] = 1;
        if (watch.observe(attention) != Alignment::kFine) return watch.good_steps();
      }
    }
    return watch.end() == Alignment::kFine ? int64_t{-1} : watch.good_steps();
  };
  EXPECT_EQ(watched(0, 0), -1);
  EXPECT_EQ(watched(9, 15), 18) << "twelve";
  EXPECT_EQ(watched(10, 13), -1) << "half of it is not noticed";
  EXPECT_EQ(watched(4, 8), 8) << "two";
}

// [tokens] with all attention on one character.
std::vector<float> at(int64_t focus, int64_t tokens) {
  std::vector<float> attention(static_cast<size_t>(tokens), 0.f);
  attention[static_cast<size_t>(focus)] = 1;
  return attention;
}

// Observes foci until one of them is not fine; then what it was.
Alignment watch(AlignmentWatch& watch, int64_t tokens, int64_t from, int64_t to, double pace) {
  const auto steps = static_cast<int64_t>(std::abs(static_cast<double>(to - from)) / pace);
  for (int64_t i = 0; i < steps; ++i) {
    const auto moved = static_cast<int64_t>(static_cast<double>(i) * pace);
    const Alignment alignment = watch.observe(at(from < to ? from + moved : from - moved, tokens));
    if (alignment != Alignment::kFine) return alignment;
  }
  return Alignment::kFine;
}

TEST(AlignmentWatch, OrdinarySpeechIsFine) {
  for (const double pace : {0.1, 0.5, 2.}) {
    AlignmentWatch w(80);
    EXPECT_EQ(watch(w, 80, 0, 79, pace), Alignment::kFine) << pace;
    EXPECT_EQ(w.end(), Alignment::kFine);
  }
  AlignmentWatch glance(80);  // a look ahead or back now and then
  for (int64_t i = 0; i < 79; ++i) {
    EXPECT_EQ(glance.observe(at(i % 5 == 4 ? (i + 40) % 80 : i, 80)), Alignment::kFine);
  }
}

TEST(AlignmentWatch, LeapsAreSeen) {
  AlignmentWatch ahead(80);
  EXPECT_EQ(watch(ahead, 80, 0, 20, 0.5), Alignment::kFine);
  EXPECT_EQ(watch(ahead, 80, 45, 60, 0.5), Alignment::kLeaped);
  EXPECT_EQ(ahead.good_steps(), 40);
  AlignmentWatch back(80);
  EXPECT_EQ(watch(back, 80, 0, 60, 0.5), Alignment::kFine);
  EXPECT_EQ(watch(back, 80, 10, 30, 0.5), Alignment::kLeaped);
}

TEST(AlignmentWatch, SoundsWithoutEndAreSeen) {
  AlignmentWatch stuck(80);
  EXPECT_EQ(watch(stuck, 80, 0, 20, 0.5), Alignment::kFine);
  EXPECT_EQ(watch(stuck, 80, 20, 21, 0.01), Alignment::kStuck);
  AlignmentWatch away(80);
  EXPECT_EQ(watch(away, 80, 0, 79, 0.5), Alignment::kFine);
  EXPECT_EQ(watch(away, 80, 79, 80, 0.01), Alignment::kRanAway);
}

TEST(AlignmentWatch, EarlyEndsAreSeen) {
  AlignmentWatch w(80);
  EXPECT_EQ(watch(w, 80, 0, 60, 0.5), Alignment::kFine);
  EXPECT_EQ(w.end(), Alignment::kEndedEarly);
  w.rewind(10);
  EXPECT_EQ(w.steps(), 10);
  EXPECT_EQ(AlignmentWatch(3).end(), Alignment::kFine);
}

}  // namespace
}  // namespace parley::decoder
