// Words and hallucinations in the strategies.
#include <gtest/gtest.h>

#include "parley/pipeline/stt/hallucinations.h"
#include "parley/pipeline/stt/word_times.h"
#include "parley/tests/golden/golden_model.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;

TranscribeOptions with_words(Strategy strategy) {
  return {.strategy = strategy,
          .language = "en",
          .beam = 1,
          .temperatures = {0},
          .no_speech_threshold = 1,
          .word_timestamps = true};
}

TEST_F(RandomModel, WordsSpellTheirSegmentsAndAreInOrderInBothStrategies) {
  const auto path = long_file();
  for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
    for (const double endpoint : {0.2, 3.0}) {
      Transcriber transcriber(load("english-128"), 1);
      TranscribeOptions options = with_words(strategy);
      options.endpoint_silence = endpoint;
      const Transcript transcript = transcriber.transcribe(dsp::AudioReader::open(path), options);
      ASSERT_FALSE(transcript.segments.empty());
      double last = 0;
      size_t measured = 0;
      size_t words = 0;
      for (const Segment& segment : transcript.segments) {
        std::string text;
        ASSERT_FALSE(segment.words.empty());
        EXPECT_LE(segment.start, segment.words.front().end + 1e-9);
        for (const Word& word : segment.words) {
          EXPECT_GE(word.start, last - 1e-9);
          EXPECT_GE(word.end, word.start);
          EXPECT_LE(word.end, segment.end + 1e-9);
          EXPECT_GE(word.probability, 0.f);
          EXPECT_LE(word.probability, 1.f);
          last = word.end;
          text += word.word;
          measured += word.source == WordSource::kMeasured;
          ++words;
        }
        EXPECT_LE(last, transcript.duration + 1e-6);
        // Bytes of one character may be words of their own here; as text they meet again.
        EXPECT_EQ(text.size() > 0, segment.text.size() > 0);
      }
      EXPECT_EQ(measured, words);
    }
  }
}

TEST_F(RandomModel, WordsComeOnlyWhenAskedFor) {
  Transcriber transcriber(load("english-128"), 1);
  TranscribeOptions options = with_words(Strategy::kWindows);
  options.word_timestamps = false;
  for (const double threshold : {-1.0, 2.0}) {
    options.hallucination_silence_threshold = threshold;
    for (const Strategy strategy : {Strategy::kWindows, Strategy::kSequential}) {
      options.strategy = strategy;
      const Transcript transcript =
          transcriber.transcribe(dsp::AudioReader::open(clips()), options);
      for (const Segment& segment : transcript.segments) EXPECT_TRUE(segment.words.empty());
    }
  }
}

TEST_F(RandomModel, WordsDoNotDependOnBatchOrThreads) {
  const auto path = long_file();
  const auto run = [&](int batch, int threads) {
    Transcriber transcriber(load("english-128"), threads);
    TranscribeOptions options = with_words(Strategy::kWindows);
    options.batch = batch;
    std::vector<double> times;
    for (const Segment& segment :
         transcriber.transcribe(dsp::AudioReader::open(path), options).segments) {
      for (const Word& word : segment.words) times.insert(times.end(), {word.start, word.end});
    }
    return times;
  };
  const auto expected = run(1, 1);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(run(8, 2), expected);
}

Segment spoken(double start, double end, float probability, int words = 4) {
  Segment segment;
  segment.start = start;
  segment.end = end;
  const double each = (end - start) / words;
  for (int i = 0; i < words; ++i) {
    segment.words.push_back({.word = " w",
                             .start = start + i * each,
                             .end = start + (i + 1) * each,
                             .probability = probability});
    segment.text += " w";
  }
  return segment;
}

TEST(Hallucinations, AreUnlikelyShortOrLongWords) {
  EXPECT_FALSE(is_anomalous(spoken(0, 2, 0.9f)));
  EXPECT_TRUE(is_anomalous(spoken(0, 2, 0.1f)));
  EXPECT_TRUE(is_anomalous(spoken(0, 0.04, 0.9f))) << "10 ms for each word";
  EXPECT_TRUE(is_anomalous(spoken(0, 16, 0.9f))) << "4 s for each word";
  EXPECT_FALSE(is_anomalous({}));
  Segment dots = spoken(0, 2, 0.9f);
  dots.words.insert(dots.words.begin(), 8, {.word = ".", .probability = 0});
  EXPECT_FALSE(is_anomalous(dots)) << "punctuation does not count";
}

TEST(Hallucinations, GoOnlyWhenTheyStandInSilence) {
  const HeardWindow window{.start = 0, .end = 30, .full_end = 30, .last_speech = 0};
  std::vector<Segment> amid = {spoken(1, 4, 0.9f), spoken(4.2, 6, 0.1f), spoken(6.2, 9, 0.9f)};
  EXPECT_EQ(find_hallucination(amid, 0, window, 2), 3u) << "speech on both sides";
  std::vector<Segment> alone = {spoken(3, 5, 0.9f), spoken(12, 13, 0.1f), spoken(20, 22, 0.9f)};
  EXPECT_EQ(find_hallucination(alone, 0, window, 2), 1u);
  EXPECT_EQ(find_hallucination(alone, 2, window, 2), 3u);
  std::vector<Segment> likely = {spoken(3, 5, 0.9f), spoken(12, 13, 0.5f), spoken(20, 22, 0.9f)};
  EXPECT_EQ(find_hallucination(likely, 0, window, 2), 3u);
  std::vector<Segment> last = {spoken(3, 5, 0.9f), spoken(12, 13, 0.1f)};
  EXPECT_EQ(find_hallucination(last, 0, window, 2), 1u) << "silence to the window's end";
}

TEST(Hallucinations, AtTheBeginningTellWhereToListenAgain) {
  const HeardWindow window{.start = 30, .end = 60, .full_end = 60, .last_speech = 29};
  const std::vector<Segment> late = {spoken(40, 41, 0.1f), spoken(42, 44, 0.9f)};
  EXPECT_EQ(leading_silence_end(late, window, 2), 40.0);
  EXPECT_EQ(leading_silence_end(late, window, 12), std::nullopt);
  const std::vector<Segment> good = {spoken(40, 41, 0.9f)};
  EXPECT_EQ(leading_silence_end(good, window, 2), std::nullopt);
  EXPECT_EQ(leading_silence_end({}, window, 2), std::nullopt);
}

// add_words against what openai/whisper's add_word_timestamps does, by hand.
struct AddWords : testing::Test {
  test::GoldenModel golden{"english-128"};
  text::Tokenizer tokenizer = golden.tokenizer();

  static decoder::AlignedWord word(const std::string& text, double from, double to) {
    return {.text = text, .begin = 0, .end = 1, .from = from, .to = to, .probability = 0.5f};
  }
  static Segment segment(double start, double end) {
    Segment made;
    made.start = start;
    made.end = end;
    made.text = " x";
    made.tokens = {100};
    return made;
  }
};

TEST_F(AddWords, PausesBelongToNoWord) {
  // The median is 0.4 s, so no word at the end of a sentence is longer than 0.8 s.
  std::vector<Segment> segments = {segment(10, 18)};
  add_words(segments, tokenizer,
            {{word(" a", 0.4, 0.8), word(" b", 0.8, 1.2), word(".", 1.2, 5.0), word(" c", 5.0, 5.4),
              word(" d", 5.4, 8.0)}},
            {.start = 10, .end = 40, .last_speech = 10, .language = "en"});
  const std::vector<Word>& words = segments[0].words;
  ASSERT_EQ(words.size(), 4u);
  EXPECT_EQ(words[1].word, " b.");
  EXPECT_NEAR(words[1].end, 11.2, 1e-9) << "the word's own time, not its full stop's";
  EXPECT_NEAR(words[2].start, 15, 1e-9);
  EXPECT_NEAR(segments[0].start, 10.4, 1e-9);
  EXPECT_NEAR(segments[0].end, 18, 1e-9);
}

TEST_F(AddWords, AFirstWordThatCoversAPauseIsCutShort) {
  std::vector<Segment> segments = {segment(14, 16)};
  add_words(
      segments, tokenizer,
      {{word(" a", 0, 4.6), word(" b", 4.6, 5.0), word(" c", 5.0, 5.4), word(" d", 5.4, 5.8)}},
      {.start = 10, .end = 40, .last_speech = 9, .language = "en"});
  EXPECT_NEAR(segments[0].words[0].end, 14.6, 1e-9);
  EXPECT_NEAR(segments[0].words[0].start, 13.8, 1e-9) << "twice the median of 0.4 s";
}

TEST_F(AddWords, WithoutAlignmentWordsShareTheSegmentsTime) {
  std::vector<Segment> segments = {segment(1, 3), segment(2, 5)};
  segments[0].tokens = tokenizer.encode(" aa bb");
  segments[1].tokens = tokenizer.encode(" cc");
  add_words(segments, tokenizer, {{}, {}},
            {.start = 0, .end = 4, .last_speech = 0, .language = "en"});
  ASSERT_EQ(segments[0].words.size(), 2u);
  EXPECT_EQ(segments[0].words[0].source, WordSource::kInterpolated);
  EXPECT_NEAR(segments[0].words[1].start, 2, 1e-9);
  ASSERT_EQ(segments[1].words.size(), 1u);
  EXPECT_NEAR(segments[1].words[0].start, 3, 1e-9) << "not before the word before";
  EXPECT_NEAR(segments[1].words[0].end, 4, 1e-9) << "not after the window";
}

}  // namespace
}  // namespace parley::pipeline
