// The developers' pilot checkpoint and human speech. Tests that use them skip where they are
// absent.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "stage/convert.h"
#include "tests/support.h"

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

// Of a line of a tab-separated table.
inline std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

}  // namespace parley::test
