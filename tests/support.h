// What every test may use: where the test data is, and a temporary folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "parley/core/base/error.h"

namespace parley::test {

// A file or folder of the repository, e.g. source_path("tests/dsp/golden/log_mel.safetensors").
std::filesystem::path source_path(const std::string& relative);

// A path below the developers' shared folder ($PARLEY_SHARED, else ../shared beside the checkout),
// or nothing when absent. Tests that need it skip: `const auto model =
// shared_path("models/pilot-en"); if (!model) GTEST_SKIP() << kNoShared;`
std::optional<std::filesystem::path> shared_path(const std::string& relative);
inline constexpr const char* kNoShared =
    "needs ../shared (corpus and pilot checkpoints), which this machine does not have";

// A path below a folder of published checkpoints, $PARLEY_PUBLISHED, with hf/<name> (Hugging Face)
// and ct2/<name> (CTranslate2), or nothing. Tests that need it skip like the above.
std::optional<std::filesystem::path> published_path(const std::string& relative);
inline constexpr const char* kNoPublished =
    "needs PARLEY_PUBLISHED, a folder with published checkpoints in hf/ and ct2/";

// The message of the parley::Error that `action` throws; "" when it throws none.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// An empty folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace parley::test
