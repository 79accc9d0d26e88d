#include "parley/pipeline/tts/synthesizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "parley/convert/convert.h"
#include "parley/convert/voices_convert.h"
#include "parley/core/base/error.h"
#include "parley/core/model/voices.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/tests/golden/golden_voice.h"

namespace parley::pipeline {
namespace {

// A tiny random voice: nonsense, but always the same.
struct Voice {
  test::TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "voice";
  std::shared_ptr<const VoiceModel> model;

  Voice() {
    stage::convert(test::source_path("tests/golden/speecht5/small"), path,
                   {.weights = stage::WeightStorage::kF32,
                    .vocoder = test::source_path("tests/golden/hifigan/speecht5"),
                    .voices = test::source_path("tests/golden/speecht5/small/voices")});
    test::speak_longer(path);
    model = VoiceModel::load(path, nn::Precision::kF32, 2);
  }
};

const Voice& voice() {
  static const Voice instance;
  return instance;
}

std::vector<float> say(const std::string& text, const SpeakOptions& options = {}, int threads = 2) {
  Synthesizer synthesizer(voice().model, threads);
  return speak(synthesizer, text, options);
}

// Hands out `text` in pieces of so many bytes.
TextReader pieces_of(const std::string& text, size_t bytes) {
  return [text, bytes, at = size_t{0}](std::span<char> buffer, const std::stop_token&) mutable {
    const size_t count = std::min({bytes, buffer.size(), text.size() - at});
    std::copy_n(text.begin() + static_cast<std::ptrdiff_t>(at), count, buffer.begin());
    at += count;
    return count;
  };
}

const std::string kText = "Go. Yes, 2 of us.\n\nStop!";

TEST(Synthesizer, SpeaksEverySentenceInWholeFrames) {
  Synthesizer synthesizer(voice().model, 2);
  const std::vector<float> samples = speak(synthesizer, kText, {.sentence_pause_ms = 0});
  EXPECT_EQ(synthesizer.timings().sentences, 3);
  EXPECT_GT(synthesizer.timings().steps, 0);
  // Paragraphs keep their pause: the only samples that are not of frames.
  const size_t pause = 16000 * 600 / 1000;
  EXPECT_EQ((samples.size() - pause) % 256, 0u);
  EXPECT_NEAR(synthesizer.timings().audio_seconds, static_cast<double>(samples.size()) / 16000,
              1e-9);
  for (const float sample : samples) ASSERT_LE(std::abs(sample), 1.f);
}

TEST(Synthesizer, TheSeedDecides) {
  const std::vector<float> first = say(kText, {.seed = 7});
  EXPECT_EQ(say(kText, {.seed = 7}), first);
  EXPECT_NE(say(kText, {.seed = 8}), first);
}

TEST(Synthesizer, ThreadsChangeAtMostRounding) {
  const std::vector<float> one = say("Go on.", {}, 1);
  const std::vector<float> three = say("Go on.", {}, 3);
  ASSERT_EQ(one.size(), three.size());
  for (size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(one[i], three[i], 1e-4);
}

TEST(Synthesizer, HowTheTextComesChangesNothing) {
  const std::vector<float> whole = say(kText);
  for (const size_t bytes : {size_t{1}, size_t{7}}) {
    Synthesizer synthesizer(voice().model, 2);
    std::vector<float> samples;
    synthesizer.speak(pieces_of(kText, bytes), [&](std::span<const float> block) {
      samples.insert(samples.end(), block.begin(), block.end());
    });
    EXPECT_EQ(samples, whole) << bytes;
  }
}

// Whoever feeds the text may say that none comes for now; whole sentences are not changed by it.
TEST(Synthesizer, PausesBetweenSentencesChangeNothing) {
  const std::vector<float> whole = say(kText);
  Synthesizer synthesizer(voice().model, 2);
  std::vector<float> samples;
  const std::vector<std::string> parts = {"Go. Y", "", "es, 2 of us.\n\nSt", "op!"};
  synthesizer.speak(
      [&, part = size_t{0}](std::span<char> buffer,
                            const std::stop_token&) mutable -> std::optional<size_t> {
        if (part == parts.size()) return 0;
        const std::string& text = parts[part++];
        std::copy(text.begin(), text.end(), buffer.begin());
        return text.empty() ? std::nullopt : std::optional(text.size());
      },
      [&](std::span<const float> block) {
        samples.insert(samples.end(), block.begin(), block.end());
      });
  EXPECT_EQ(samples, whole);
}

// Ten moments without text: what there is is spoken while the reader still waits for more.
TEST(Synthesizer, SpeaksWhatThereIsWhenNoTextComes) {
  std::mutex mutex;
  std::condition_variable written;
  bool heard = false;
  int moments = 0;
  Synthesizer synthesizer(voice().model, 2);
  synthesizer.speak(
      [&](std::span<char> buffer, const std::stop_token&) -> std::optional<size_t> {
        if (moments++ == 0) {
          buffer[0] = 'G', buffer[1] = 'o';
          return 2;
        }
        if (moments < 12) return std::nullopt;
        std::unique_lock lock(mutex);
        EXPECT_TRUE(written.wait_for(lock, std::chrono::minutes(5), [&] { return heard; }));
        return 0;
      },
      [&](std::span<const float>) {
        const std::lock_guard lock(mutex);
        heard = true;
        written.notify_all();
      });
}

// The second half of the text is held back until samples of the first sentence have been written.
TEST(Synthesizer, SpeaksWhileTheTextStillComes) {
  std::mutex mutex;
  std::condition_variable written;
  bool heard = false;
  int part = 0;
  Synthesizer synthesizer(voice().model, 2);
  synthesizer.speak(
      [&](std::span<char> buffer, const std::stop_token&) -> size_t {
        const std::string text = part == 0 ? "Go. Then " : "stop.";
        if (part > 1) return 0;
        if (part == 1) {
          std::unique_lock lock(mutex);
          EXPECT_TRUE(written.wait_for(lock, std::chrono::minutes(5), [&] { return heard; }));
        }
        ++part;
        std::copy(text.begin(), text.end(), buffer.begin());
        return text.size();
      },
      [&](std::span<const float>) {
        const std::lock_guard lock(mutex);
        heard = true;
        written.notify_all();
      });
  EXPECT_EQ(part, 2);
}

// Text without an end is read no further ahead of what is spoken than the queue holds.
TEST(Synthesizer, EndlessTextIsSpokenAsItIsRead) {
  Synthesizer synthesizer(voice().model, 2);
  std::stop_source stop;
  std::atomic<size_t> bytes_read = 0;
  size_t samples_written = 0;
  const auto endless = [&](std::span<char> buffer, const std::stop_token&) {
    const std::string_view text = "Go. Then on and on! ";
    for (size_t i = 0; i < buffer.size(); ++i) buffer[i] = text[(bytes_read + i) % text.size()];
    bytes_read += buffer.size();
    return buffer.size();
  };
  const auto listen = [&](std::span<const float> samples) {
    samples_written += samples.size();
    if (samples_written > 5 * 16000) stop.request_stop();
  };
  EXPECT_THROW(synthesizer.speak(endless, listen, {}, {}, stop.get_token()), Stopped);
  EXPECT_GE(synthesizer.timings().sentences, 2);
  EXPECT_LE(bytes_read, 16384u);
}

// 100,000 letters without a space are one sentence in as many pieces as the model needs.
TEST(Synthesizer, AWordWithoutAnEndIsSpokenInPieces) {
  Synthesizer synthesizer(voice().model, 2);
  std::stop_source stop;
  size_t samples_written = 0;
  EXPECT_THROW(synthesizer.speak(
                   pieces_of(std::string(100'000, 'a'), 4096),
                   [&](std::span<const float> samples) {
                     samples_written += samples.size();
                     if (samples_written > 10 * 16000) stop.request_stop();
                   },
                   {.sentence_pause_ms = 0}, {}, stop.get_token()),
               Stopped);
  EXPECT_GT(samples_written, 0u);
}

TEST(Synthesizer, ASentenceIsWrittenInParts) {
  std::vector<size_t> sizes;
  Synthesizer synthesizer(voice().model, 2);
  synthesizer.speak(pieces_of("Go on and on, and on, and then stop.", 100),
                    [&](std::span<const float> block) { sizes.push_back(block.size()); });
  EXPECT_GT(sizes.size(), 2u);
}

TEST(Synthesizer, PausesAreSilenceOfTheAskedLength) {
  const auto length = [](int pause) { return say("Go. Go.", {.sentence_pause_ms = pause}).size(); };
  EXPECT_EQ(length(500) - length(0), 8000u);
}

TEST(Synthesizer, SpeedAndRateChangeTheLength) {
  const auto length = [](const SpeakOptions& options) {
    return static_cast<double>(say("Go on.", options).size());
  };
  const double plain = length({});
  EXPECT_NEAR(length({.speed = 2}), plain / 2, 2);
  EXPECT_NEAR(length({.speed = 0.5}), plain * 2, 2);
  EXPECT_NEAR(length({.sample_rate = 48000}), plain * 3, 3);
  const std::string fast = "<speak><prosody rate=\"200%\">Go on.</prosody></speak>";
  EXPECT_NEAR(static_cast<double>(say(fast, {.ssml = true}).size()), plain / 2, 2);
}

TEST(Synthesizer, VoicesDiffer) {
  EXPECT_EQ(say("Go.", {.voice = "anna"}), say("Go."));
  EXPECT_NE(say("Go.", {.voice = "bert"}), say("Go."));
  EXPECT_THROW(say("Go.", {.voice = "nobody"}), Error);
}

TEST(Synthesizer, WhatCannotBeSaidIsAnError) {
  EXPECT_THROW(say(""), Error);
  EXPECT_THROW(say(" \n\t\n "), Error);
  EXPECT_THROW(say("<speak><blink>Go.</blink></speak>", {.ssml = true}), Error);
}

struct Broken : std::runtime_error {
  Broken() : std::runtime_error("broken") {}
};

TEST(Synthesizer, ErrorsOfReaderAndWriterComeOut) {
  Synthesizer synthesizer(voice().model, 2);
  const auto good_reader = pieces_of(kText, 100);
  const auto ignore = [](std::span<const float>) {};
  EXPECT_THROW(synthesizer.speak(good_reader, [](std::span<const float>) { throw Broken(); }),
               Broken);
  EXPECT_THROW(
      synthesizer.speak([](std::span<char>, const std::stop_token&) -> size_t { throw Broken(); },
                        ignore),
      Broken);
  EXPECT_EQ(speak(synthesizer, "Go."), say("Go."));  // and it can go on
}

TEST(Synthesizer, StopsInTheMiddle) {
  Synthesizer synthesizer(voice().model, 2);
  std::stop_source stop;
  EXPECT_THROW(synthesizer.speak(
                   pieces_of(kText, 100), [&](std::span<const float>) { stop.request_stop(); }, {},
                   {}, stop.get_token()),
               Stopped);
  EXPECT_EQ(speak(synthesizer, "Go."), say("Go."));
}

// A reader that waits for ever ends when it is told to.
TEST(Synthesizer, ASilentReaderDoesNotKeepItFromStopping) {
  Synthesizer synthesizer(voice().model, 2);
  std::stop_source stop;
  bool begun = false;
  EXPECT_THROW(synthesizer.speak(
                   [&](std::span<char> buffer, const std::stop_token& told) -> size_t {
                     if (!std::exchange(begun, true)) {
                       const std::string text = "Go. And then ";
                       std::copy(text.begin(), text.end(), buffer.begin());
                       return text.size();
                     }
                     std::mutex mutex;
                     std::condition_variable_any never;
                     std::unique_lock lock(mutex);
                     never.wait(lock, told, [] { return false; });
                     return 0;
                   },
                   [&](std::span<const float>) { stop.request_stop(); }, {}, {}, stop.get_token()),
               Stopped);
}

TEST(VoiceModel, StagesThatAreMissingOrDoNotFitAreRefused) {
  const test::TemporaryFolder folder;
  const auto small = test::source_path("tests/golden/speecht5/small");
  const auto refusal = [](const std::filesystem::path& path) {
    return test::error_of([&] { VoiceModel::load(path, nn::Precision::kF32, 1); });
  };
  const auto vocoder = test::source_path("tests/golden/hifigan/speecht5");
  stage::convert(small, folder.path() / "nobody", {.vocoder = vocoder});
  EXPECT_NE(refusal(folder.path() / "nobody").find("--voices"), std::string::npos);
  const std::string other = test::error_of([&] {  // another mel: already at conversion
    stage::convert(small, folder.path() / "other",
                   {.vocoder = test::source_path("tests/golden/hifigan/v1")});
  });
  EXPECT_NE(other.find("does not fit"), std::string::npos) << other;
  // and when a stage was exchanged by hand
  const std::filesystem::path mixed = folder.path() / "mixed";
  std::filesystem::copy(voice().path, mixed, std::filesystem::copy_options::recursive);
  stage::convert(test::source_path("tests/golden/hifigan/v1"), folder.path() / "v1");
  std::filesystem::remove_all(mixed / "vocoder");
  std::filesystem::copy(folder.path() / "v1" / "vocoder", mixed / "vocoder");
  EXPECT_NE(refusal(mixed).find("does not fit"), std::string::npos) << refusal(mixed);
  // Voices of another speaker network, exchanged by hand.
  const std::filesystem::path foreign = folder.path() / "foreign";
  std::filesystem::copy(voice().path, foreign, std::filesystem::copy_options::recursive);
  const stage::FolderWriter voices(folder.path() / "voices", "none");
  stage::write_voices(voices, {{"dora", std::vector<float>(3, 1.f)}});
  std::filesystem::remove_all(foreign / "voices");
  std::filesystem::copy(voices.path() / "voices", foreign / "voices");
  EXPECT_NE(refusal(foreign).find("vectors of 3 numbers"), std::string::npos) << refusal(foreign);
}

// Without the stage "vocoder" Griffin-Lim speaks: the same frames, other samples.
TEST(VoiceModel, GriffinLimTakesThePlaceOfAMissingVocoder) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "mute";
  const auto small = test::source_path("tests/golden/speecht5/small");
  stage::convert(small, path, {.weights = stage::WeightStorage::kF32, .voices = small / "voices"});
  test::speak_longer(path);
  const auto mute = VoiceModel::load(path, nn::Precision::kF32, 2);
  EXPECT_FALSE(mute->has_vocoder());
  EXPECT_TRUE(voice().model->has_vocoder());
  Synthesizer synthesizer(mute, 2);
  const std::vector<float> samples = speak(synthesizer, kText);
  const std::vector<float> by_hifigan = say(kText);
  EXPECT_EQ(samples.size(), by_hifigan.size());
  EXPECT_NE(samples, by_hifigan);
  EXPECT_EQ(speak(synthesizer, kText), samples);
  for (const float sample : samples) ASSERT_LE(std::abs(sample), 1.f);
  EXPECT_EQ(list_voices(path).size(), 3u);
}

TEST(VoiceModel, VoicesAreListedDefaultFirst) {
  EXPECT_EQ(list_voices(voice().path), (std::vector<std::string>{"anna", "bert", "cleo"}));
}

}  // namespace
}  // namespace parley::pipeline
