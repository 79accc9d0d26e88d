// The developers' pilot checkpoint and human speech. Tests that use them skip where they are
// absent.
#pragma once

#include <gtest/gtest.h>
#include <sndfile.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "parley/convert/convert.h"
#include "parley/tests/support.h"

namespace parley::test {

// The pilot checkpoint, converted with all its bits, and where the corpora are.
struct Pilot : testing::Test {
  void SetUp() override {
    const auto shared_corpus = shared_path("corpus");
    const auto checkpoint = shared_path("models/pilot-en");
    if (!shared_corpus || !checkpoint) GTEST_SKIP() << kNoShared;
    corpus = *shared_corpus;
    stage::convert(*checkpoint, model(), {.weights = stage::WeightStorage::kF32});
  }
  std::filesystem::path model() const { return folder.path() / "pilot-en"; }

  TemporaryFolder folder;
  std::filesystem::path corpus;
};

// A recording of the corpus as the scripts of the goldens read it: libsndfile decodes Opus at the
// rate of what was encoded, FFmpeg (and so AudioReader) at 48 kHz, which is not the same sound.
inline std::vector<float> as_golden(const std::filesystem::path& path) {
  SF_INFO info{};
  SNDFILE* file = sf_open(path.c_str(), SFM_READ, &info);
  if (file == nullptr) throw std::runtime_error(path.string() + ": libsndfile cannot read it");
  std::vector<float> samples(static_cast<size_t>(info.frames));
  samples.resize(static_cast<size_t>(sf_readf_float(file, samples.data(), info.frames)));
  sf_close(file);
  if (info.samplerate != 16000 || info.channels != 1)
    throw std::runtime_error(path.string() + ": not 16 kHz mono");
  return samples;
}

// Of a line of a tab-separated table.
inline std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

}  // namespace parley::test
