// Real speech: what is heard live is what is read from a file.
#include <sndfile.h>

#include <algorithm>

#include "parley/pipeline/stt/speech_model.h"
#include "parley/tests/live/live_fixture.h"

namespace parley::pipeline {
namespace {

struct Pilot : testing::Test {
  std::shared_ptr<const SpeechModel> model;
  std::vector<float> samples;  // utterances with pauses of 0.3 to 2 s between them

  void SetUp() override {
    const auto corpus = test::shared_path("corpus/commands");
    const auto checkpoint = test::shared_path("models/pilot-en");
    if (!corpus || !checkpoint) GTEST_SKIP() << test::kNoShared;
    const test::TemporaryFolder folder;
    stage::convert(*checkpoint, folder.path() / "pilot-en");
    model = SpeechModel::load(folder.path() / "pilot-en", nn::Precision::kF32);
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(*corpus)) {
      if (entry.path().extension() == ".flac") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    files.resize(std::min<size_t>(files.size(), 10));
    std::mt19937 random(7);
    for (const auto& file : files) {
      const std::vector<float> utterance = read_all(file);
      samples.insert(samples.end(), utterance.begin(), utterance.end());
      samples.resize(samples.size() + 4800 + random() % 27200);
    }
  }
};

TEST_F(Pilot, FinalTextEqualsTheFilesForRandomBlockSizes) {
  LiveOptions options;
  options.transcribe.beam = 2;
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "joined.wav";
  SF_INFO info{};
  info.samplerate = 16000;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
  const Transcript expected =
      Transcriber(model).transcribe(dsp::AudioReader::open(path), options.transcribe);
  EXPECT_GT(expected.segments.size(), 5u);
  for (const size_t largest : {500u, 30000u}) {
    RecordedSession live(options, model);
    live.push(samples, largest, static_cast<unsigned>(largest));
    live.session.finish();
    EXPECT_EQ(live.final_text(), expected.text);
  }
}

// Spoken noise reduction may change words; it may not lose them.
TEST_F(Pilot, TheFrontEndKeepsSpeech) {
  LiveOptions options;
  options.transcribe.beam = 1;
  options.partial_interval = 0;
  const auto words = [&] {
    RecordedSession live(options, model);
    live.push(samples);
    live.session.finish();
    const std::string text = live.final_text();
    return static_cast<double>(std::count(text.begin(), text.end(), ' '));
  };
  const double plain = words();
  options.front_end.emplace();
  EXPECT_GT(plain, 20);
  EXPECT_NEAR(words(), plain, 0.2 * plain);
}

}  // namespace
}  // namespace parley::pipeline
