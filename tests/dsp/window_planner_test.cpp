#include "parley/dsp/window_planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

constexpr int64_t kSecond = kSampleRate;

struct Stretch {
  bool speech;
  double seconds;
};

struct Plan {
  std::vector<Window> windows;
  std::vector<Span> skipped;
  bool operator==(const Plan&) const = default;
};

void take(WindowPlanner& planner, Plan& plan) {
  while (const auto window = planner.next_window()) plan.windows.push_back(*window);
  while (const auto skipped = planner.next_skipped()) plan.skipped.push_back(*skipped);
}

int64_t samples(double seconds) { return std::llround(seconds * kSampleRate); }

// Hands over the runs in pieces of at most `piece` samples (0: whole).
Plan plan(const std::vector<Stretch>& runs, const PlannerOptions& options = {.padding = 0.3},
          int64_t piece = 0) {
  WindowPlanner planner(options);
  Plan out;
  int64_t at = 0, end = 0;
  for (const Stretch& run : runs) {
    end += samples(run.seconds);
    while (at < end) {
      at = piece > 0 ? std::min(end, at + piece) : end;
      planner.advance(run.speech, at);
      take(planner, out);
    }
  }
  planner.finish();
  take(planner, out);
  return out;
}

Window window(double start, double end, WindowEnd reason, bool overlaps = false) {
  return {samples(start), samples(end), overlaps, reason};
}

std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  for (const Window& w : plan.windows) {
    out << "\n  window " << static_cast<double>(w.start) / kSecond << " - "
        << static_cast<double>(w.end) / kSecond << " " << name_of(w.reason)
        << (w.overlaps_previous ? " overlaps" : "");
  }
  for (const Span& s : plan.skipped) {
    out << "\n  skipped " << static_cast<double>(s.start) / kSecond << " - "
        << static_cast<double>(s.end) / kSecond;
  }
  return out;
}

void expect_plan(const Plan& actual, const std::vector<Window>& windows,
                 const std::vector<std::pair<double, double>>& skipped) {
  Plan expected{windows, {}};
  for (const auto& [start, end] : skipped)
    expected.skipped.push_back({samples(start), samples(end)});
  EXPECT_TRUE(actual == expected) << "is" << actual << "\nshould be" << expected;
}

TEST(WindowPlanner, NothingHasNoWindows) {
  expect_plan(plan({}), {}, {});
  expect_plan(plan({{false, 100}}), {}, {{0, 100}});
}

TEST(WindowPlanner, PadsSpeechWithinTheStream) {
  expect_plan(plan({{false, 1}, {true, 2}, {false, 1}}), {window(0.7, 3.3, WindowEnd::kEndOfInput)},
              {{0, 0.7}, {3.3, 4}});
  expect_plan(plan({{true, 2}}), {window(0, 2, WindowEnd::kEndOfInput)}, {});
  expect_plan(plan({{false, 0.1}, {true, 2}, {false, 0.1}}),
              {window(0, 2.2, WindowEnd::kEndOfInput)}, {});
  expect_plan(plan({{false, 50}, {true, 0.1}}), {window(49.7, 50.1, WindowEnd::kEndOfInput)},
              {{0, 49.7}});
}

TEST(WindowPlanner, ASilenceOfEndpointLengthEndsAWindow) {
  const std::vector<Stretch> runs = {{true, 4}, {false, 3}, {true, 5}, {false, 2.9}, {true, 1}};
  expect_plan(plan(runs),
              {window(0, 4.3, WindowEnd::kEndpoint), window(6.7, 15.9, WindowEnd::kEndOfInput)},
              {{4.3, 6.7}});
  expect_plan(plan(runs, {.endpoint_silence = 0.5, .padding = 0.3}),
              {window(0, 4.3, WindowEnd::kEndpoint), window(6.7, 12.3, WindowEnd::kEndpoint),
               window(14.6, 15.9, WindowEnd::kEndOfInput)},
              {{4.3, 6.7}, {12.3, 14.6}});
}

TEST(WindowPlanner, WindowsDoNotOverlapInTheirPadding) {
  // 0.5 s of silence, padded by 0.3 s on both sides: the second window starts where the first
  // ended.
  expect_plan(plan({{true, 4}, {false, 0.5}, {true, 1}}, {.endpoint_silence = 0.5, .padding = 0.3}),
              {window(0, 4.3, WindowEnd::kEndpoint), window(4.3, 5.5, WindowEnd::kEndOfInput)}, {});
  // Padding longer than the endpoint silence cannot be waited for.
  expect_plan(plan({{true, 4}, {false, 2}}, {.endpoint_silence = 0.2, .padding = 0.3}),
              {window(0, 4.2, WindowEnd::kEndpoint)}, {{4.2, 6}});
}

TEST(WindowPlanner, AFullWindowEndsInTheLongestSilenceOfItsLastTenSeconds) {
  expect_plan(
      plan({{true, 15}, {false, 2}, {true, 5}, {false, 0.5}, {true, 2.5}, {false, 1}, {true, 10}}),
      {window(0, 25.5, WindowEnd::kSilence), window(25.7, 36, WindowEnd::kEndOfInput)},
      {{25.5, 25.7}});
}

TEST(WindowPlanner, ASilenceThatBeganEarlierCountsFromThere) {
  // Silence from 19 to 21 s: within the last 10 s of the window lies 20 to 21 s.
  expect_plan(plan({{true, 19}, {false, 2}, {true, 15}}),
              {window(0, 20.5, WindowEnd::kSilence), window(20.7, 36, WindowEnd::kEndOfInput)},
              {{20.5, 20.7}});
}

TEST(WindowPlanner, ASilenceStillGoingOnAtThirtySecondsCounts) {
  expect_plan(plan({{true, 29}, {false, 2}, {true, 2}}),
              {window(0, 29.5, WindowEnd::kSilence), window(30.7, 33, WindowEnd::kEndOfInput)},
              {{29.5, 30.7}});
  // Its end is 30 s exactly: the same.
  expect_plan(plan({{true, 29}, {false, 1}, {true, 2}}),
              {window(0, 29.5, WindowEnd::kSilence), window(29.7, 32, WindowEnd::kEndOfInput)},
              {{29.5, 29.7}});
}

TEST(WindowPlanner, SpeechWithoutSilenceIsCutWithAnOverlap) {
  expect_plan(plan({{true, 70}}),
              {window(0, 30, WindowEnd::kFull), window(25, 55, WindowEnd::kFull, true),
               window(50, 70, WindowEnd::kEndOfInput, true)},
              {});
  // A silence under 0.3 s is no place to cut.
  expect_plan(plan({{true, 25}, {false, 0.29}, {true, 10}}),
              {window(0, 30, WindowEnd::kFull), window(25, 35.29, WindowEnd::kEndOfInput, true)},
              {});
}

TEST(WindowPlanner, ASpanOfThirtySecondsIsOneWindow) {
  expect_plan(plan({{true, 30}}), {window(0, 30, WindowEnd::kEndOfInput)}, {});
  expect_plan(plan({{true, 30}, {false, 5}}), {window(0, 30, WindowEnd::kFull)}, {{30, 35}});
  expect_plan(plan({{false, 3}, {true, 29.7}, {false, 5}}), {window(2.7, 32.7, WindowEnd::kFull)},
              {{0, 2.7}, {32.7, 37.7}});
}

TEST(WindowPlanner, NoOverlapWhenSpeechDoesNotGoOnAtTheCut) {
  // At 30 s a pause of 0.1 s has begun. When speech goes on soon, words may straddle the cut;
  // otherwise they cannot.
  expect_plan(plan({{true, 29.9}, {false, 0.25}, {true, 4}}),
              {window(0, 30, WindowEnd::kFull), window(25, 34.15, WindowEnd::kEndOfInput, true)},
              {});
  expect_plan(plan({{true, 29.9}, {false, 1}, {true, 4}}),
              {window(0, 30, WindowEnd::kFull), window(30.6, 34.9, WindowEnd::kEndOfInput)},
              {{30, 30.6}});
}

TEST(WindowPlanner, EndpointsAfterACutCountTheWholeSilence) {
  // Cut in the silence at 24 s; the last words end at 29.9 s, and 3 s later so does their window.
  expect_plan(plan({{true, 23}, {false, 2}, {true, 4.9}, {false, 10}}),
              {window(0, 24, WindowEnd::kSilence), window(24.7, 30.2, WindowEnd::kEndpoint)},
              {{24, 24.7}, {30.2, 39.9}});
}

TEST(WindowPlanner, NamesItsReasons) {
  EXPECT_EQ(name_of(WindowEnd::kEndpoint), "endpoint");
  EXPECT_EQ(name_of(WindowEnd::kSilence), "silence");
  EXPECT_EQ(name_of(WindowEnd::kFull), "full");
  EXPECT_EQ(name_of(WindowEnd::kEndOfInput), "end_of_input");
}

TEST(WindowPlanner, RefusesImpossibleOptionsAndTimes) {
  EXPECT_NE(test::error_of([] { WindowPlanner({.endpoint_silence = -1}); }), "");
  EXPECT_NE(test::error_of([] { WindowPlanner({.padding = std::nan("")}); }), "");
  EXPECT_NE(test::error_of([] {
              WindowPlanner planner;
              planner.advance(true, 100);
              planner.advance(true, 99);
            }),
            "");
}

// Random spans: mostly phrases with pauses, sometimes long speech or long silence, sometimes one
// instant.
std::vector<Stretch> random_runs(std::mt19937& random) {
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution(low, high)(random);
  };
  std::vector<Stretch> runs;
  bool speech = random() % 2 == 0;
  for (size_t i = random() % 60; i > 0; --i, speech = !speech) {
    switch (random() % 8) {
      case 0:
        runs.push_back({speech, uniform(10, 80)});
        break;
      case 1:
        runs.push_back({speech, uniform(0, 0.01)});
        break;
      case 2:
        runs.push_back({speech, uniform(1, 6)});
        break;
      case 3:
        runs.push_back({speech, static_cast<double>(random() % 4) * 10});
        break;
      default:
        runs.push_back({speech, speech ? uniform(0.2, 8) : uniform(0.05, 0.6)});
        break;
    }
  }
  return runs;
}

void check_tiling(const Plan& plan, int64_t total) {
  int64_t covered = 0;
  size_t skipped = 0;
  const auto pass_skipped = [&] {
    if (skipped < plan.skipped.size() && plan.skipped[skipped].start == covered) {
      ASSERT_GT(plan.skipped[skipped].end, covered);
      covered = plan.skipped[skipped++].end;
    }
  };
  for (const Window& w : plan.windows) {
    pass_skipped();
    ASSERT_LE(w.end - w.start, WindowPlanner::kMaxWindow);
    ASSERT_GT(w.end, covered);
    if (w.overlaps_previous) {
      ASSERT_EQ(w.start, covered - 5 * kSecond);
    } else {
      ASSERT_EQ(w.start, covered);
    }
    covered = w.end;
  }
  pass_skipped();
  ASSERT_EQ(skipped, plan.skipped.size());
  ASSERT_EQ(covered, total);
}

void check_speech_is_covered(const Plan& plan, const std::vector<Stretch>& runs) {
  int64_t at = 0;
  for (const Stretch& run : runs) {
    const int64_t start = at;
    at += samples(run.seconds);
    if (!run.speech || start == at) continue;
    for (const Span& s : plan.skipped) {
      ASSERT_TRUE(s.end <= start || s.start >= at)
          << "speech " << start << "-" << at << " skipped " << s.start << "-" << s.end;
    }
  }
}

TEST(WindowPlanner, RandomSpansAreCoveredTiledAndIndependentOfBlockSizes) {
  std::mt19937 random(2024);
  for (int round = 0; round < 400; ++round) {
    const std::vector<Stretch> runs = random_runs(random);
    const PlannerOptions options = {
        .endpoint_silence = std::vector{0.0, 0.2, 0.5, 1.0, 3.0, 40.0}[random() % 6],
        .padding = std::vector{0.0, 0.3, 0.4, 2.0}[random() % 4]};
    SCOPED_TRACE(round);
    const Plan whole = plan(runs, options);
    int64_t total = 0;
    for (const Stretch& run : runs) total += samples(run.seconds);
    check_tiling(whole, total);
    check_speech_is_covered(whole, runs);
    for (const int64_t piece : {160, 512, 7777, 480000}) {
      const Plan pieces = plan(runs, options, piece);
      ASSERT_TRUE(pieces == whole) << "pieces of " << piece << pieces << "\nwhole" << whole;
    }
    if (HasFatalFailure()) return;
  }
}

// What is known when a window comes out: never more of the stream than its 30 s and one piece, or
// its endpoint silence.
TEST(WindowPlanner, IsCausal) {
  std::mt19937 random(7);
  constexpr int64_t kPiece = 160;
  for (int round = 0; round < 50; ++round) {
    const std::vector<Stretch> runs = random_runs(random);
    WindowPlanner planner;
    int64_t at = 0, end = 0, needed = 0;
    for (const Stretch& run : runs) {
      end += samples(run.seconds);
      while (at < end) {
        at = std::min(end, at + kPiece);
        planner.advance(run.speech, at);
        while (const auto w = planner.next_window()) {
          ASSERT_GE(w->start, needed) << "needs samples that it said it would not";
          ASSERT_LE(at, w->start + WindowPlanner::kMaxWindow + kPiece);
        }
        ASSERT_GE(planner.needed_from(), needed);
        needed = planner.needed_from();
        ASSERT_LE(at - needed, WindowPlanner::kMaxWindow + kPiece);
        ASSERT_EQ(planner.open_window().value_or(needed), needed);
      }
    }
  }
}

TEST(WindowPlanner, HoursKeepNothing) {
  WindowPlanner planner;
  int64_t at = 0, windows = 0;
  for (int phrase = 0; phrase < 3 * 3600 / 3; ++phrase) {
    planner.advance(true, at += 2 * kSecond);
    planner.advance(false, at += kSecond);
    for (; planner.next_window(); ++windows) {
    }
    while (planner.next_skipped()) {
    }
  }
  EXPECT_GT(windows, 360);
  EXPECT_LT(windows, 480);
  EXPECT_LT(sizeof planner, 512u);
}

}  // namespace
}  // namespace parley::dsp
