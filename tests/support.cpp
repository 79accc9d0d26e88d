#include "parley/tests/support.h"

#include <cstdlib>

namespace parley::test {

namespace {

// Programs that a test starts leave the user's cache of packed weights as it is.
[[maybe_unused]] const int kNoCache = ::setenv("PARLEY_CACHE", "off", 1);

}  // namespace

std::filesystem::path source_path(const std::string& relative) {
  return std::filesystem::path(PARLEY_SOURCE_DIR) / relative;
}

std::optional<std::filesystem::path> shared_path(const std::string& relative) {
  const char* folder = std::getenv("PARLEY_SHARED");
  const std::filesystem::path shared = folder ? folder : source_path("../shared");
  const std::filesystem::path path = shared / relative;
  return std::filesystem::exists(path) ? std::optional(path.lexically_normal()) : std::nullopt;
}

std::optional<std::filesystem::path> published_path(const std::string& relative) {
  const char* folder = std::getenv("PARLEY_PUBLISHED");
  if (!folder || !*folder) return std::nullopt;
  const std::filesystem::path path = std::filesystem::path(folder) / relative;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "parley-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace parley::test
