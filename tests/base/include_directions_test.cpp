// Enforces the table of docs/architecture.md: which folder may include which.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "tests/support.h"

namespace parley {
namespace {

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"nn", {"base"}},
    {"text", {"base"}},
    {"stage", {"base", "nn", "text"}},
    {"dsp", {"base", "nn"}},
    {"encoder", {"base", "nn", "text", "stage"}},
    {"decoder", {"base", "nn", "text", "stage"}},
    {"vocoder", {"base", "nn", "stage", "dsp"}},
    {"pipeline", {"base", "nn", "text", "stage", "dsp", "encoder", "decoder", "vocoder"}},
};

TEST(IncludeDirections, FollowTheArchitecture) {
  const std::regex include(R"re(^\s*#\s*include\s+"([a-z_]+)/)re");
  int files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    if (!std::filesystem::exists(test::source_path(folder))) continue;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(test::source_path(folder))) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      ++files;
      std::ifstream file(entry.path());
      std::smatch match;
      for (std::string line; std::getline(file, line);) {
        if (!std::regex_search(line, match, include)) continue;
        const std::string target = match[1];
        EXPECT_TRUE(target == folder || allowed.contains(target))
            << entry.path() << " must not include " << target << "/";
      }
    }
  }
  EXPECT_GT(files, 5);
}

// oneDNN, Highway and OpenMP are known in nn/ only.
TEST(IncludeDirections, MathLibrariesStayInNn) {
  const std::regex library(
      R"re(^\s*#\s*(include\s+[<"](oneapi/|dnnl|hwy/|omp\.h|immintrin)|pragma\s+omp))re");
  for (const auto& [folder, allowed] : kMayInclude) {
    if (folder == "nn" || !std::filesystem::exists(test::source_path(folder))) continue;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(test::source_path(folder))) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        EXPECT_FALSE(std::regex_search(line, library)) << entry.path() << ": " << line;
      }
    }
  }
}

}  // namespace
}  // namespace parley
