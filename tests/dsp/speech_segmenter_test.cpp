#include "parley/dsp/speech_segmenter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "parley/tests/dsp/signals.h"
#include "parley/tests/support.h"

namespace parley::dsp {
namespace {

struct Plan {
  std::vector<Window> windows;
  std::vector<Span> skipped;
  bool operator==(const Plan&) const = default;
};

// Pushes blocks of 1 to `largest_block` samples.
Plan segment(const std::vector<float>& samples, FrameClassifier classifier, size_t largest_block,
             uint32_t seed = 1) {
  std::mt19937 random(seed);
  SpeechSegmenter segmenter(std::move(classifier));
  Plan plan;
  const auto take = [&] {
    while (const auto window = segmenter.next_window()) plan.windows.push_back(*window);
    while (const auto skipped = segmenter.next_skipped()) plan.skipped.push_back(*skipped);
  };
  for (size_t at = 0; at < samples.size();) {
    const size_t count = std::min(samples.size() - at, 1 + random() % largest_block);
    segmenter.push(std::span(samples).subspan(at, count));
    at += count;
    take();
  }
  segmenter.finish();
  take();
  EXPECT_EQ(segmenter.position(), static_cast<int64_t>(samples.size()));
  return plan;
}

// Loud where there is "speech": an energy classifier with frames of 32 ms, unlike WebRTC's.
FrameClassifier loud() {
  return {512, [](std::span<const float> frame) {
            float energy = 0;
            for (const float sample : frame) energy += sample * sample;
            return energy > 0.1f;
          }};
}

std::vector<float> phrases(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out;
  for (int i = 0; i < 25; ++i) {
    const auto voiced = test::noise(8000 + random() % 60000, 0.2, seed + static_cast<uint32_t>(i));
    out.insert(out.end(), voiced.begin(), voiced.end());
    out.resize(out.size() + (random() % 5 == 0 ? 60000 : random() % 12000));
  }
  return out;
}

TEST(SpeechSegmenter, BlockSizesChangeNothing) {
  const auto samples = phrases(3);
  for (const bool webrtc : {false, true}) {
    const auto classifier = [&] { return webrtc ? webrtc_classifier() : loud(); };
    const Plan whole = segment(samples, classifier(), samples.size());
    EXPECT_GT(whole.windows.size() + whole.skipped.size(), webrtc ? 0u : 3u);
    for (const size_t block : {1u, 159u, 5000u})
      EXPECT_EQ(segment(samples, classifier(), block), whole) << block;
  }
}

TEST(SpeechSegmenter, EverythingIsSpeechWithoutADetector) {
  for (const size_t samples : {1u, 160u, 161u, 480000u}) {
    const Plan plan = segment(std::vector<float>(samples), everything_is_speech(), 1000);
    EXPECT_EQ(
        plan.windows,
        (std::vector<Window>{{0, static_cast<int64_t>(samples), false, WindowEnd::kEndOfInput}}));
    EXPECT_TRUE(plan.skipped.empty());
  }
  EXPECT_TRUE(segment({}, everything_is_speech(), 1000).windows.empty());
}

TEST(SpeechSegmenter, SilenceIsSkipped) {
  const Plan plan = segment(std::vector<float>(100001), webrtc_classifier(), 1000);
  EXPECT_TRUE(plan.windows.empty());
  EXPECT_EQ(plan.skipped, (std::vector<Span>{{0, 100001}}));
}

TEST(SpeechSegmenter, StationaryNoiseIsMostlySkipped) {
  const Plan plan = segment(test::noise(480000, 0.01, 1), webrtc_classifier(), 1000);
  int64_t skipped = 0;
  for (const Span& span : plan.skipped) skipped += span.end - span.start;
  EXPECT_GT(skipped, 300000);
}

// Where a file is loud: 30 ms or more within 25 dB of its loudest.
std::vector<bool> loud_frames(std::span<const float> samples) {
  std::vector<double> energy;
  for (size_t at = 0; at + 160 <= samples.size(); at += 160) {
    double sum = 0;
    for (const float sample : samples.subspan(at, 160)) sum += static_cast<double>(sample) * sample;
    energy.push_back(sum);
  }
  std::vector<double> sorted = energy;
  std::sort(sorted.begin(), sorted.end());
  const double threshold = sorted[sorted.size() * 95 / 100] * std::pow(10.0, -2.5);
  std::vector<bool> loud(energy.size());
  for (size_t i = 0; i + 2 < energy.size(); ++i) {
    if (std::min({energy[i], energy[i + 1], energy[i + 2]}) > threshold)
      loud[i] = loud[i + 1] = loud[i + 2] = true;
  }
  return loud;
}

TEST(SpeechSegmenter, SpeechIsNotSkipped) {
  const auto corpus = test::shared_path("corpus/commands");
  if (!corpus) GTEST_SKIP() << test::kNoShared;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*corpus)) {
    if (entry.path().extension() != ".flac") continue;
    ++files;
    AudioReader reader = AudioReader::open(entry.path());
    std::vector<float> samples(80000);  // after 5 s of silence
    const std::vector<float> speech = test::read_all(reader);
    samples.insert(samples.end(), speech.begin(), speech.end());
    samples.resize(samples.size() + 80000);
    const std::vector<bool> loud = loud_frames(speech);
    int missed = 0;
    for (const Span& span : segment(samples, webrtc_classifier(), 4000).skipped) {
      for (int64_t at = span.start; at < span.end; at += 160) {
        const int64_t frame = at / 160 - 500;
        missed += frame >= 0 && frame < static_cast<int64_t>(loud.size()) &&
                  loud[static_cast<size_t>(frame)];
      }
    }
    EXPECT_LE(missed, 5) << entry.path() << ": 10 ms frames of speech skipped";
  }
  EXPECT_GT(files, 100);
}

}  // namespace
}  // namespace parley::dsp
