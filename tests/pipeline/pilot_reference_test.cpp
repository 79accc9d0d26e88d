// Real speech through the whole path, against the published implementation with the same weights
// (tests/golden/README.md) and against what people heard. Every sixteenth utterance;
// PARLEY_PILOT_STRIDE=1 takes all of them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "parley/pipeline/stt/speech_model.h"
#include "parley/pipeline/stt/transcriber.h"
#include "parley/tests/pipeline/pilot.h"
#include "parley/tests/pipeline/random_model.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/scoring/word_error_rate.h"

namespace parley::pipeline {
namespace {

struct Utterance {
  std::filesystem::path path;
  std::string reference;   // the text of the published implementation
  std::string transcript;  // the text of a person
  double margin = 0;       // how far apart its two likeliest tokens were where they were nearest
};

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

class PilotReference : public test::Pilot {
 protected:
  void SetUp() override {
    Pilot::SetUp();
    if (IsSkipped()) return;
    std::map<std::string, std::string> transcripts;
    for (const char* part : {"commands", "an4"}) {
      std::ifstream manifest(corpus / part / "manifest.tsv");
      for (std::string line; std::getline(manifest, line);) {
        const auto fields = test::fields_of(line);
        if (fields.size() >= 4) transcripts[std::string(part) + "/" + fields[0]] = fields[3];
      }
    }
    const char* chosen = std::getenv("PARLEY_PILOT_STRIDE");
    const int stride = chosen ? std::atoi(chosen) : 16;
    std::ifstream table(test::source_path("tests/golden/pilot_en_reference.tsv"));
    std::string line;
    std::getline(table, line);
    const auto names = test::fields_of(line);
    const auto column = [&](const std::vector<std::string>& fields, const char* name) {
      const auto index =
          static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
      return index < fields.size() ? fields[index] : std::string();
    };
    for (int i = 0; std::getline(table, line); ++i) {
      if (i % stride != 0) continue;
      const auto fields = test::fields_of(line);
      const std::string path = column(fields, "path");
      utterances_.push_back({corpus / path, column(fields, "text"), transcripts.at(path),
                             std::stod(column(fields, "margin"))});
    }
    ASSERT_GT(utterances_.size(), 50u);
  }

  // The texts that a precision gives, greedy, without timestamps, each file one window.
  std::vector<std::string> texts(nn::Precision precision) const {
    Transcriber transcriber(SpeechModel::load(model(), precision));
    const TranscribeOptions options{
        .vad = VadKind::kOff,
        .beam = 1,
        .temperatures = {0},
        .no_speech_threshold = 1,  // the reference decodes whatever it hears
        .timestamps = false};
    std::vector<std::string> out;
    for (const Utterance& utterance : utterances_) {
      const auto recording = folder.path() / "recording.wav";
      test::write_wav(recording, test::as_golden(utterance.path), SF_FORMAT_FLOAT);
      out.push_back(
          trimmed(transcriber.transcribe(dsp::AudioReader::open(recording), options).text));
    }
    return out;
  }

  double word_error_rate(const std::vector<std::string>& texts) const {
    const text::BasicTextNormalizer plain;
    text::WordErrors errors;
    for (size_t i = 0; i < texts.size(); ++i)
      errors += text::word_errors(plain(utterances_[i].transcript), plain(texts[i]));
    return 100 * errors.rate();
  }

  std::vector<Utterance> utterances_;
};

TEST_F(PilotReference, TextsEqualThePublishedImplementation) {
  const std::vector<std::string> exact = texts(nn::Precision::kF32);
  size_t equal = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    if (exact[i] == utterances_[i].reference) {
      ++equal;
    } else {
      EXPECT_LT(utterances_[i].margin, 0.01) << utterances_[i].path << "\n ours: " << exact[i]
                                             << "\n theirs: " << utterances_[i].reference;
    }
  }
  const double share = 100.0 * static_cast<double>(equal) / static_cast<double>(exact.size());
  const double exact_wer = word_error_rate(exact);
  const double fast_wer = word_error_rate(texts(nn::Precision::kAuto));
  std::printf(
      "%zu utterances: %.2f %% of f32 texts equal the reference's; WER f32 %.2f, auto %.2f\n",
      exact.size(), share, exact_wer, fast_wer);
  EXPECT_GE(share, 98);
  EXPECT_LE(fast_wer, exact_wer + (exact.size() > 1000 ? 0.3 : 2.0));
}

}  // namespace
}  // namespace parley::pipeline
