// A tiny random model and recordings for it.
#pragma once

#include <gtest/gtest.h>
#include <sndfile.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/support.h"

namespace parley::test {

inline void write_wav(const std::filesystem::path& path, const std::vector<float>& samples,
                      int encoding = SF_FORMAT_PCM_16) {
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | encoding;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(file, nullptr);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
}

inline std::vector<float> read_all(const std::filesystem::path& path) {
  auto reader = dsp::AudioReader::open(path);
  std::vector<float> samples;
  std::vector<float> block(16000);
  while (const size_t count = reader.read(block))
    samples.insert(samples.end(), block.begin(), block.begin() + static_cast<int64_t>(count));
  return samples;
}

// A tiny random model: its text means nothing, everything else is real.
struct RandomModel : testing::Test {
  test::TemporaryFolder folder;
  std::shared_ptr<const pipeline::SpeechModel> load(const std::string& name,
                                                    nn::Precision precision = nn::Precision::kF32) {
    const auto target = folder.path() / name;
    if (!std::filesystem::exists(target)) {
      stage::convert(test::source_path("tests/golden/whisper/" + name), target,
                     {.weights = stage::WeightStorage::kF32});
    }
    return pipeline::SpeechModel::load(target, precision, 1);
  }
  static std::filesystem::path clips() {
    return test::source_path("tests/golden/whisper/clips.wav");
  }
  static std::vector<std::vector<int32_t>> tokens_of(const pipeline::Transcript& transcript) {
    std::vector<std::vector<int32_t>> tokens;
    for (const pipeline::Segment& segment : transcript.segments) tokens.push_back(segment.tokens);
    return tokens;
  }
  // Ninety seconds of the clips at changing levels, with pauses.
  std::filesystem::path long_file() const {
    const std::vector<float> clip = read_all(clips());
    std::vector<float> samples;
    std::mt19937 random(4);
    while (samples.size() < 90 * 16000) {
      const float gain = 0.4f + static_cast<float>(random() % 100) / 200.f;
      for (const float value : clip) samples.push_back(gain * value);
      samples.resize(samples.size() + random() % 24000);
    }
    const auto path = folder.path() / "long.wav";
    write_wav(path, samples);
    return path;
  }
};

}  // namespace parley::test
