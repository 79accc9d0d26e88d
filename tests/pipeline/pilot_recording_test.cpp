// A long recording through the sequential strategy against the published implementation with the
// same weights (tests/golden/make_pilot_recording.py): windows, seeking, prompts, and loops, into
// which this model falls often.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/pipeline/pilot.h"
#include "parley/tests/pipeline/random_model.h"

namespace parley::pipeline {
namespace {

class PilotRecording : public test::Pilot {};

TEST_F(PilotRecording, IsHeardAsByThePublishedImplementation) {
  std::ifstream file(test::source_path("tests/golden/pilot_en_recording.json"));
  const auto golden = nlohmann::json::parse(file);
  std::vector<float> samples;
  for (const std::string path : golden.at("utterances")) {
    const auto utterance = test::as_golden(corpus / path);
    samples.insert(samples.end(), utterance.begin(), utterance.end());
    samples.resize(samples.size() +
                   static_cast<size_t>(golden.at("gap_seconds").get<double>() * dsp::kSampleRate));
  }
  const auto recording = folder.path() / "recording.wav";
  test::write_wav(recording, samples);
  Transcriber transcriber(SpeechModel::load(model(), nn::Precision::kF32));
  for (const auto& run : golden.at("runs")) {
    const TranscribeOptions options{
        .strategy = Strategy::kSequential,
        .beam = 1,
        .temperatures = {0},
        .condition_on_previous_text = run.at("condition_on_previous_text").get<bool>()};
    const auto heard = transcriber.transcribe(dsp::AudioReader::open(recording), options).segments;
    const auto& expected = run.at("segments");
    ASSERT_EQ(heard.size(), expected.size());
    for (size_t i = 0; i < heard.size(); ++i) {
      EXPECT_EQ(heard[i].text, expected[i].at(2).get<std::string>());
      EXPECT_NEAR(heard[i].start, expected[i].at(0).get<double>(), 0.0051);
      EXPECT_NEAR(heard[i].end, expected[i].at(1).get<double>(), 0.0051);
    }
  }
}

}  // namespace
}  // namespace parley::pipeline
