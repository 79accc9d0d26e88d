#include "parley/pipeline/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <random>
#include <stdexcept>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/pipeline/stt/speech_engine.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

using test::RandomModel;
using namespace std::chrono_literals;

TEST(Engine, RunsCallsOneAfterAnotherAndPassesOnWhatTheyThrow) {
  Engine engine(1);
  std::atomic<int> running = 0;
  std::atomic<int> ran = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int j = 0; j < 20; ++j) {
        const auto work = [&](nn::Context&) {
          EXPECT_EQ(++running, 1);
          ++ran;
          --running;
          if (j == 7) throw std::runtime_error("seven");
        };
        const Urgency urgency = i % 2 == 0 ? Urgency::kLive : Urgency::kFile;
        if (j == 7) {
          EXPECT_THROW(engine.call(urgency, {}, work), std::runtime_error);
        } else {
          engine.call(urgency, {}, work);
        }
      }
    });
  }
  callers.clear();
  EXPECT_EQ(ran, 160);
}

TEST(Engine, LiveCallsComeFirst) {
  Engine engine(1);
  std::promise<void> go;
  std::vector<std::string> order;
  std::vector<std::jthread> callers;
  callers.emplace_back(
      [&] { engine.call(Urgency::kFile, {}, [&](nn::Context&) { go.get_future().wait(); }); });
  std::this_thread::sleep_for(50ms);
  callers.emplace_back(
      [&] { engine.call(Urgency::kFile, {}, [&](nn::Context&) { order.push_back("file"); }); });
  std::this_thread::sleep_for(50ms);
  callers.emplace_back(
      [&] { engine.call(Urgency::kLive, {}, [&](nn::Context&) { order.push_back("live"); }); });
  std::this_thread::sleep_for(50ms);
  go.set_value();
  callers.clear();
  EXPECT_EQ(order, (std::vector<std::string>{"live", "file"}));
}

TEST(Engine, ACallThatWaitsIsGivenUpAtOnce) {
  Engine engine(1);
  std::promise<void> go;
  std::jthread first(
      [&] { engine.call(Urgency::kFile, {}, [&](nn::Context&) { go.get_future().wait(); }); });
  std::this_thread::sleep_for(50ms);
  std::stop_source stop;
  bool ran = false;
  std::jthread second([&] {
    EXPECT_THROW(engine.call(Urgency::kFile, stop.get_token(), [&](nn::Context&) { ran = true; }),
                 Stopped);
  });
  std::this_thread::sleep_for(20ms);
  stop.request_stop();
  second.join();  // although the first still runs
  go.set_value();
  first.join();
  EXPECT_FALSE(ran);
}

// Sanitizers make it thirty times as slow.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kJobs = 7;
constexpr unsigned kMostSeconds = 10;
#else
constexpr int kJobs = 16;
constexpr unsigned kMostSeconds = 60;
#endif

// A file with the options of a listener that comes by chance.
struct Job {
  std::filesystem::path file;
  TranscribeOptions options;
};

class Company : public RandomModel {
 protected:
  std::vector<Job> jobs(int count) {
    std::mt19937 random(11);
    const std::vector<float> clip = test::read_all(clips());
    std::vector<Job> made;
    for (int i = 0; i < count; ++i) {
      std::vector<float> samples;
      for (const size_t length = 16000 * (3 + random() % kMostSeconds); samples.size() < length;) {
        const float gain = 0.3f + static_cast<float>(random() % 100) / 150.f;
        for (const float value : clip) samples.push_back(gain * value);
        samples.resize(samples.size() + random() % 24000);
      }
      Job job{folder.path() / (std::to_string(i) + ".wav"), {}};
      test::write_wav(job.file, samples);
      job.options = {
          .strategy = i % 4 == 3 ? Strategy::kSequential : Strategy::kWindows,
          .language = i % 3 == 0 ? "" : "en",
          .beam = 1 + static_cast<int>(random() % 4),
          .best_of = 2,
          .temperatures = i % 2 == 0 ? std::vector<float>{0} : std::vector<float>{0, 0.5f},
          .seed = random(),
          .logprob_threshold = -8,
          .batch = 1 + static_cast<int>(random() % 3)};
      if (i % 5 == 1) job.options.hotwords = {"the boat"};
      if (i % 5 == 2) job.options.word_timestamps = true;
      made.push_back(std::move(job));
    }
    return made;
  }
  static Transcript hear(Transcriber& transcriber, const Job& job, std::stop_token stop = {}) {
    return transcriber.transcribe(dsp::AudioReader::open(job.file), job.options, {},
                                  std::move(stop));
  }
  static void expect_equal(const Transcript& a, const Transcript& b) {
    EXPECT_EQ(tokens_of(a), tokens_of(b));
    EXPECT_EQ(a.text, b.text);
    ASSERT_EQ(a.segments.size(), b.segments.size());
    for (size_t i = 0; i < a.segments.size(); ++i) {
      EXPECT_EQ(a.segments[i].start, b.segments[i].start);
      EXPECT_EQ(a.segments[i].end, b.segments[i].end);
      EXPECT_EQ(a.segments[i].words.size(), b.segments[i].words.size());
    }
    EXPECT_EQ(a.rejected.size(), b.rejected.size());
  }
};

TEST_F(Company, WhatAJobHearsDoesNotDependOnTheOthers) {
  const auto model = load("multilingual-80");
  const std::vector<Job> all = jobs(kJobs);
  std::vector<Transcript> alone;
  for (const Job& job : all) {
    Transcriber transcriber(model, 1);
    alone.push_back(hear(transcriber, job));
  }
  ASSERT_TRUE(std::ranges::any_of(alone, [](const Transcript& t) { return !t.text.empty(); }));
  const auto engine = start_speech_engine(model, start_engine(2), /*windows=*/3);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < all.size(); ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
      Transcriber transcriber(engine);
      if (i % 5 == 4) {  // goes away before it has heard everything, and comes again
        std::stop_source stop;
        std::jthread stopper([&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(random() % 200));
          stop.request_stop();
        });
        try {
          hear(transcriber, all[i], stop.get_token());
        } catch (const Stopped&) {
        }
      }
      if (i % 6 == 5) {  // asks for what this model cannot do
        TranscribeOptions wrong = all[i].options;
        wrong.prompt = std::string(4000, 'x');
        wrong.language = "no such language";
        EXPECT_THROW(transcriber.transcribe(dsp::AudioReader::open(all[i].file), wrong), Error);
      }
      expect_equal(hear(transcriber, all[i]), alone[i]);
    });
  }
}

TEST_F(Company, AListenerThatGoesAwayLeavesRoom) {
  const auto model = load("multilingual-80");
  const auto engine = start_speech_engine(model, start_engine(1), /*windows=*/1);
  const std::vector<Job> all = jobs(2);
  for (int i = 0; i < 5; ++i) {
    std::stop_source stop;
    Transcriber transcriber(engine);
    std::jthread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10 * i));
      stop.request_stop();
    });
    try {
      hear(transcriber, all[0], stop.get_token());
    } catch (const Stopped&) {
    }
  }
  Transcriber transcriber(engine);
  Transcriber by_itself(model, 1);
  expect_equal(hear(transcriber, all[1]), hear(by_itself, all[1]));
}

}  // namespace
}  // namespace parley::pipeline
