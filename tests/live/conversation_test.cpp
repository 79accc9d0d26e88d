// Two who talk in a simulated room: what is said comes back from the walls into the microphone,
// with the voice of a person who interrupts. Time is counted in samples.
#include "parley/pipeline/live/conversation.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <random>

#include "parley/core/base/error.h"
#include "parley/pipeline/tts/voice_model.h"
#include "parley/tests/golden/golden_voice.h"
#include "parley/tests/live/live_fixture.h"

namespace parley::pipeline {
namespace {

constexpr size_t kTick = dsp::kSampleRate / 100;

std::shared_ptr<const VoiceModel> tiny_voice() {
  static const auto voice = [] {
    const test::TemporaryFolder folder;
    const auto path = folder.path() / "voice";
    stage::convert(test::source_path("tests/golden/speecht5/small"), path,
                   {.weights = stage::WeightStorage::kF32,
                    .vocoder = test::source_path("tests/golden/hifigan/speecht5"),
                    .voices = test::source_path("tests/golden/speecht5/small/voices")});
    test::speak_longer(path);
    return VoiceModel::load(path, nn::Precision::kF32, 1);
  }();
  return voice;
}

// A loudspeaker and a microphone in one room, and the conversation between them, tick by tick. The
// loudspeaker is never starved: a tick waits for sound while something is being said.
struct Room {
  static constexpr size_t kDelay = 3 * dsp::kSampleRate / 20;  // of the echo: 150 ms

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<float> offered;  // the block that waits to be played
  std::vector<float> played;
  std::vector<bool> said;              // was it whole?
  size_t texts = 0;                    // given to be said
  std::vector<int64_t> speech_starts;  // when they were told
  bool closed = false;
  std::mt19937 random{1};
  std::normal_distribution<float> noise{0, 0.001f};
  Conversation conversation;

  explicit Room(bool echo_cancellation)
      : conversation(tiny_model(), tiny_voice(), options(echo_cancellation),
                     [this](std::span<const float> samples) { play(samples); },
                     {.heard = [this](const LiveEvent& event) { hear(event); },
                      .said =
                          [this](const std::string&, bool whole) {
                            const std::lock_guard lock(mutex);
                            said.push_back(whole);
                            changed.notify_all();
                          }}) {}

  ~Room() {
    const std::lock_guard lock(mutex);
    closed = true;
    changed.notify_all();
  }

  static ConversationOptions options(bool echo_cancellation) {
    ConversationOptions options{.live = quick_options()};
    options.live.partial_interval = 0;
    options.live.queue_seconds = 0.01;  // what a tick brings was heard two ticks later
    options.live.front_end = dsp::VoiceFrontEndOptions{.echo_cancellation = echo_cancellation};
    options.live.echo_delay = 0.1;
    return options;
  }

  void say(const std::string& text) {
    {
      const std::lock_guard lock(mutex);
      ++texts;
    }
    conversation.say(text);
  }
  std::vector<bool> outcomes() {
    const std::lock_guard lock(mutex);
    return said;
  }
  std::vector<int64_t> starts() {
    const std::lock_guard lock(mutex);
    return speech_starts;
  }
  void hear(const LiveEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.kind == LiveEventKind::kSpeechStart)
      speech_starts.push_back(static_cast<int64_t>(played.size()));
  }
  void play(std::span<const float> samples) {
    std::unique_lock lock(mutex);
    offered.assign(samples.begin(), samples.end());
    changed.notify_all();
    changed.wait(lock, [this] { return offered.empty() || closed; });
  }

  // Plays what is to be played, and brings what the microphone hears: a person, the echo, noise.
  void tick(std::span<const float> person) {
    std::vector<float> heard(kTick);
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return !offered.empty() || said.size() == texts; });
      offered.resize(kTick);
      played.insert(played.end(), offered.begin(), offered.end());
      offered.clear();
      changed.notify_all();
      for (size_t i = 0; i < kTick; ++i) {
        const size_t at = played.size() - kTick + i;
        heard[i] = noise(random) + (i < person.size() ? person[i] : 0.f);
        if (at >= kDelay) heard[i] += 0.3f * played[at - kDelay];
        if (at >= kDelay + 300) heard[i] += 0.1f * played[at - kDelay - 300];
      }
    }
    ASSERT_TRUE(conversation.push(heard));
  }
  void wait(double seconds) {
    for (int i = 0; i < seconds * 100; ++i) tick({});
  }
};

std::string long_speech() {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "Yes, 2 of us are going to go there. ";
  return text;
}

TEST(Conversation, WhoSpeaksInterruptsAndTheEchoDoesNot) {
  Room room(true);
  room.say(long_speech());
  room.wait(6);
  EXPECT_TRUE(room.outcomes().empty());
  const size_t before = room.starts().size();
  const auto begun = static_cast<int64_t>(room.played.size());
  const std::vector<float> person = golden_clips();
  for (size_t at = 0; at + kTick <= person.size(); at += kTick)
    room.tick(std::span(person).subspan(at, kTick));
  const std::vector<int64_t> starts = room.starts();
  ASSERT_GT(starts.size(), before);
  ASSERT_EQ(room.outcomes(), std::vector<bool>{false});
  const int64_t detected = starts[before];
  int64_t silent = static_cast<int64_t>(room.played.size());
  while (room.played[static_cast<size_t>(silent - 1)] == 0) --silent;
  EXPECT_GE(detected, begun);  // and not by its own echo
  EXPECT_LE(detected - begun, dsp::kSampleRate / 2);
  EXPECT_GT(silent, begun);
  EXPECT_LE(silent - detected, dsp::kSampleRate / 10);
  RecordProperty("detected_ms", static_cast<int>((detected - begun) / 16));
  RecordProperty("silent_ms", static_cast<int>((silent - detected) / 16));
  for (const int64_t start : starts)  // the canceller had learned the room in a second
    EXPECT_TRUE(start < dsp::kSampleRate || start >= begun) << start;
}

// Times at which speech is noticed where recorded voices come back from a loudspeaker 150 ms later.
std::vector<double> noticed_in_echo(bool echo_cancellation) {
  LiveOptions options = Room::options(echo_cancellation).live;
  const std::vector<float> voices = read_all(test::source_path("data/audio/speakers.opus"));
  RecordedSession live(options);
  std::mt19937 random(1);
  std::normal_distribution<float> noise(0, 0.001f);
  for (size_t at = 0; at + kTick <= voices.size(); at += kTick) {
    live.session.played(std::span(voices).subspan(at, kTick));
    std::vector<float> heard(kTick);
    for (size_t i = 0; i < kTick; ++i)
      heard[i] =
          noise(random) + (at + i >= Room::kDelay ? 0.3f * voices[at + i - Room::kDelay] : 0);
    EXPECT_TRUE(live.session.push(heard));
  }
  live.session.finish();
  std::vector<double> times;
  for (const LiveEvent& event : live.of(LiveEventKind::kSpeechStart)) times.push_back(event.start);
  return times;
}

TEST(LiveSession, WhatIsPlayedIsNotHeard) {
  const std::vector<double> without = noticed_in_echo(false);
  ASSERT_GT(without.size(), 3u);
  EXPECT_GT(without.back(), 15);
  const std::vector<double> with = noticed_in_echo(true);  // but for a second, to learn the room
  EXPECT_TRUE(with.empty() || with.back() < 1) << with.back();
}

TEST(Conversation, SaysOneTextAfterTheOtherUntilItIsHushed) {
  Room room(true);
  room.say("Go.");
  room.say("Yes.");
  while (room.outcomes().size() < 2) room.tick({});
  EXPECT_EQ(room.outcomes(), (std::vector<bool>{true, true}));
  room.say(long_speech());
  room.wait(0.5);
  const size_t length = room.played.size();
  room.conversation.hush();
  room.wait(0.5);
  EXPECT_EQ(room.outcomes(), (std::vector<bool>{true, true, false}));
  const auto rest = std::span(room.played).subspan(length + kTick);
  EXPECT_TRUE(std::all_of(rest.begin(), rest.end(), [](float x) { return x == 0; }));
}

TEST(Conversation, WhatStopsTheVoiceIsThrownAtTheEnd) {
  Room room(true);
  room.conversation.say("...");
  EXPECT_THROW(room.conversation.finish(), Error);
}

}  // namespace
}  // namespace parley::pipeline
