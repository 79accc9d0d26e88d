#include "parley/pipeline/stt/stitcher.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace parley::pipeline {
namespace {

std::vector<std::string> joined(const std::vector<TimedWord>& a, const std::vector<TimedWord>& b,
                                const Seam& seam) {
  std::vector<std::string> words;
  for (size_t i = 0; i < seam.keep; ++i) words.push_back(a[i].text);
  for (size_t i = seam.from; i < b.size(); ++i) words.push_back(b[i].text);
  return words;
}

// True words seen through two windows with a phase: jittered times, and damage at the windows'
// edges.
TEST(Stitcher, JoinsWhatAPerfectRecognizerHeardAtAnyPhase) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    std::uniform_real_distribution<double> pace(0.2, 0.6);
    std::uniform_real_distribution<double> jitter(-0.3, 0.3);
    std::uniform_int_distribution<int> vocabulary(0, 30);
    std::vector<TimedWord> truth;
    for (double time = 0; time < 55;) {
      const double length = pace(random);
      truth.push_back({" w" + std::to_string(vocabulary(random)), time, time + length});
      time += length;
    }
    const double begin = 25 + pace(random);
    const double end = 30;
    std::vector<TimedWord> a;
    std::vector<TimedWord> b;
    for (const TimedWord& word : truth) {
      TimedWord moved = word;
      moved.start += jitter(random);
      moved.end = moved.start + 0.3;
      if (word.end <= end) a.push_back(moved);
      if (word.start >= begin) b.push_back(moved);
    }
    a.push_back({" dam", end - 0.2, end});  // a word cut by the edge
    b.insert(b.begin(), {" aged", begin, begin + 0.2});
    const Seam seam = find_seam(a, b, begin, end);
    std::vector<std::string> expected;
    for (const TimedWord& word : truth) expected.push_back(word.text);
    ASSERT_EQ(joined(a, b, seam), expected) << "round " << round;
  }
}

TEST(Stitcher, IgnoresCaseAndPunctuation) {
  const std::vector<TimedWord> a = {{" One", 25, 26}, {" two.", 27, 28}, {" thr", 29, 30}};
  const std::vector<TimedWord> b = {{" ne", 25, 25.5}, {" Two", 27, 28}, {" three", 29, 31}};
  EXPECT_EQ(joined(a, b, find_seam(a, b, 25, 30)),
            (std::vector<std::string>{" One", " two.", " three"}));
}

TEST(Stitcher, IgnoresCaseAndPunctuationOfAllScripts) {
  const std::vector<TimedWord> a = {{" один", 25, 26}, {" Ärger…", 27, 28}, {" ша", 29, 30}};
  const std::vector<TimedWord> b = {{" дин", 25, 25.5}, {" «ärger»", 27, 28}, {" шагов", 29, 31}};
  EXPECT_EQ(joined(a, b, find_seam(a, b, 25, 30)),
            (std::vector<std::string>{" один", " Ärger…", " шагов"}));
}

TEST(Stitcher, CutsInTheMiddleWithoutAMatch) {
  const std::vector<TimedWord> a = {{" one", 25, 26}, {" two", 26, 27}, {" bad", 29, 30}};
  const std::vector<TimedWord> b = {{" worse", 25, 26}, {" three", 28, 29}};
  EXPECT_EQ(joined(a, b, find_seam(a, b, 25, 30)),
            (std::vector<std::string>{" one", " two", " three"}));
}

TEST(Stitcher, TakesEmptySides) {
  const std::vector<TimedWord> words = {{" one", 26, 27}, {" two", 28, 29}};
  EXPECT_EQ(joined({}, words, find_seam({}, words, 25, 30)), (std::vector<std::string>{" two"}));
  EXPECT_EQ(joined(words, {}, find_seam(words, {}, 25, 30)), (std::vector<std::string>{" one"}));
}

}  // namespace
}  // namespace parley::pipeline
