// What tests of live transcription share: a tiny random model, sound for it, and a session whose
// events are kept.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/dsp/audio_reader.h"
#include "parley/pipeline/live/live_session.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/tests/support.h"

namespace parley::pipeline {

inline std::vector<float> read_all(const std::filesystem::path& path) {
  auto reader = dsp::AudioReader::open(path);
  std::vector<float> samples;
  std::vector<float> block(16000);
  while (const size_t count = reader.read(block))
    samples.insert(samples.end(), block.begin(), block.begin() + static_cast<int64_t>(count));
  return samples;
}

inline std::vector<float> golden_clips() {
  return read_all(test::source_path("tests/golden/whisper/clips.wav"));
}

// The clips at changing levels with pauses between them, at least so long.
inline std::vector<float> clips_with_pauses(double seconds, unsigned seed = 4) {
  const std::vector<float> clip = golden_clips();
  std::vector<float> samples;
  std::mt19937 random(seed);
  while (static_cast<double>(samples.size()) < seconds * dsp::kSampleRate) {
    const float gain = 0.4f + static_cast<float>(random() % 100) / 200.f;
    for (const float value : clip) samples.push_back(gain * value);
    samples.resize(samples.size() + random() % 24000);
  }
  return samples;
}

// The tiny random model: its text means nothing, everything else is real.
inline std::shared_ptr<const SpeechModel> tiny_model() {
  static const auto model = [] {
    const test::TemporaryFolder folder;
    stage::convert(test::source_path("tests/golden/whisper/multilingual-80"), folder.path() / "m",
                   {.weights = stage::WeightStorage::kF32});
    return SpeechModel::load(folder.path() / "m", nn::Precision::kF32, 1);
  }();
  return model;
}

inline LiveOptions quick_options() {
  LiveOptions options;
  options.transcribe.language = "en";
  options.transcribe.beam = 1;
  options.transcribe.temperatures = {0};
  options.transcribe.no_speech_threshold = 1;  // the random model's text counts
  options.threads = 1;
  return options;
}

struct RecordedSession {
  std::mutex mutex;
  std::vector<LiveEvent> events;
  LiveSession session;

  explicit RecordedSession(const LiveOptions& options,
                           std::shared_ptr<const SpeechModel> model = tiny_model())
      : session(std::move(model), options, [this](const LiveEvent& event) {
          const std::lock_guard lock(mutex);
          events.push_back(event);
        }) {}

  // In blocks of random sizes up to `largest`.
  void push(const std::vector<float>& samples, size_t largest = 4000, unsigned seed = 1) {
    std::mt19937 random(seed);
    for (size_t at = 0; at < samples.size();) {
      const size_t count = std::min(samples.size() - at, 1 + random() % largest);
      ASSERT_TRUE(session.push(std::span(samples).subspan(at, count)));
      at += count;
    }
  }
  std::vector<LiveEvent> of(LiveEventKind kind) {
    const std::lock_guard lock(mutex);
    std::vector<LiveEvent> found;
    for (const LiveEvent& event : events) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }
  std::string final_text() {
    std::string text;
    for (const LiveEvent& event : of(LiveEventKind::kFinal)) text += event.text;
    return text;
  }
};

}  // namespace parley::pipeline
