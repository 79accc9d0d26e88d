// Enforces the table of docs/architecture.md: which folder may include which; that what is
// installed is closed; and that the paths which comments and documents name are there.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "parley/tests/support.h"

namespace parley {
namespace {

namespace fs = std::filesystem;

using Folders = std::set<std::string>;

// A file belongs to the longest of these that begins its path, and may include its own folder and
// those named. "cli" stands for the programs' common files, "text" for what its trees share.
const Folders kCore = {"core/base", "core/nn", "core/model"};
const std::map<std::string, Folders> kMayInclude = {
    {"core/base", {}},
    {"core/nn", {"core/base"}},
    {"core/model", {"core/base", "core/nn"}},
    {"text", {"core/base"}},
    {"text/tokenizer", {"core/base", "text"}},
    {"text/spoken", {"core/base", "text"}},
    {"text/scoring", {"core/base", "text", "text/tokenizer", "text/spoken"}},
    {"dsp", {"core/base", "core/nn"}},
    {"encoder", kCore},
    {"decoder", {"core/base", "core/nn", "core/model", "text", "text/tokenizer", "text/scoring"}},
    {"vocoder", {"core/base", "core/nn", "core/model", "dsp"}},
    {"pipeline", {"core/base", "core/nn"}},
    {"pipeline/stt",
     {"pipeline", "core/base", "core/nn", "core/model", "text", "text/tokenizer", "text/scoring",
      "dsp", "encoder", "decoder"}},
    {"pipeline/tts",
     {"pipeline", "core/base", "core/nn", "core/model", "text", "text/tokenizer", "text/spoken",
      "dsp", "encoder", "decoder", "vocoder"}},
    {"pipeline/live",
     {"pipeline", "core/base", "core/nn", "text/scoring", "dsp", "decoder", "pipeline/stt",
      "pipeline/tts"}},
    {"pipeline/output", {"core/base", "text", "pipeline/stt"}},
    {"pipeline/evaluation",
     {"core/base", "core/nn", "core/model", "text", "text/tokenizer", "text/scoring", "dsp",
      "encoder", "decoder", "vocoder", "pipeline/stt", "pipeline/tts"}},
    {"convert", {"core/base", "core/nn", "core/model", "text/tokenizer"}},
    {"store", {"core/base", "core/model", "convert"}},
    {"cli", kCore},
    {"cli/transcribe",
     {"core/base", "core/nn", "core/model", "text", "dsp", "store", "cli", "pipeline/stt",
      "pipeline/live", "pipeline/output"}},
    {"cli/speak", {"core/base", "core/nn", "core/model", "dsp", "store", "cli", "pipeline/tts"}},
    {"cli/parley",
     {"core/base", "core/nn", "core/model", "convert", "store", "cli", "pipeline/stt",
      "pipeline/tts", "pipeline/evaluation"}},
};

std::string folder_of(const std::string& path) {
  std::string longest;
  for (const auto& [folder, allowed] : kMayInclude) {
    if (path.starts_with(folder + "/") && folder.size() > longest.size()) longest = folder;
  }
  return longest;
}

bool ends_with_one_of(const fs::path& path, std::initializer_list<const char*> extensions) {
  return std::find(extensions.begin(), extensions.end(), path.extension()) != extensions.end();
}

// Files below the repository's folders, by their paths from its root.
std::vector<std::string> files_below(const std::vector<std::string>& folders,
                                     std::initializer_list<const char*> extensions) {
  std::vector<std::string> files;
  const fs::path root = test::source_path("");
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (ends_with_one_of(entry.path(), extensions))
        files.push_back(entry.path().lexically_relative(root).generic_string());
    }
  }
  return files;
}

std::vector<std::string> house() {
  return files_below({"core", "text", "dsp", "encoder", "decoder", "vocoder", "pipeline", "convert",
                      "store", "cli"},
                     {".h", ".cpp"});
}

void for_each_line(const std::string& path, const std::function<void(const std::string&)>& use) {
  std::ifstream file(test::source_path(path));
  for (std::string line; std::getline(file, line);) use(line);
}

// Paths after "parley/" in the file's includes.
std::vector<std::string> includes_of(const std::string& path) {
  static const std::regex include(R"re(^\s*#\s*include\s+"parley/([^"]+)")re");
  std::vector<std::string> found;
  for_each_line(path, [&](const std::string& line) {
    std::smatch match;
    if (std::regex_search(line, match, include)) found.push_back(match[1]);
  });
  return found;
}

TEST(IncludeDirections, FollowTheArchitecture) {
  const std::vector<std::string> files = house();
  for (const std::string& path : files) {
    const std::string folder = folder_of(path);
    ASSERT_FALSE(folder.empty()) << path << " lies in no folder of the table";
    for (const std::string& included : includes_of(path)) {
      const std::string target = folder_of(included);
      EXPECT_TRUE(target == folder || kMayInclude.at(folder).contains(target))
          << path << " must not include " << included;
    }
  }
  EXPECT_GT(files.size(), 200u);
}

TEST(IncludeDirections, HaveNoCircles) {
  std::set<std::string> below;  // folders whose includes are all settled
  while (below.size() < kMayInclude.size()) {
    const size_t before = below.size();
    for (const auto& [folder, allowed] : kMayInclude) {
      if (std::includes(below.begin(), below.end(), allowed.begin(), allowed.end()))
        below.insert(folder);
    }
    ASSERT_GT(below.size(), before) << "the table has a circle";
  }
}

TEST(IncludeDirections, AllBeginWithParley) {
  const std::regex other(R"re(^\s*#\s*include\s+"(?!parley/))re");
  for (const std::string& path :
       files_below({"core", "text", "dsp", "encoder", "decoder", "vocoder", "pipeline", "convert",
                    "store", "cli", "tests", "bench"},
                   {".h", ".cpp"})) {
    for_each_line(path, [&](const std::string& line) {
      EXPECT_FALSE(std::regex_search(line, other)) << path << ": " << line;
    });
  }
}

// oneDNN, Highway and OpenMP are known in core/nn only.
TEST(IncludeDirections, MathLibrariesStayInNn) {
  const std::regex library(
      R"re(^\s*#\s*(include\s+[<"](oneapi/|dnnl|hwy/|omp\.h|immintrin)|pragma\s+omp))re");
  for (const std::string& path : house()) {
    if (folder_of(path) == "core/nn") continue;
    for_each_line(path, [&](const std::string& line) {
      EXPECT_FALSE(std::regex_search(line, library)) << path << ": " << line;
    });
  }
}

// Converters read foreign files; who only runs models does not link them.
TEST(IncludeDirections, OnlyPullAndTheParleyProgramConvert) {
  for (const std::string& path : house()) {
    const std::string folder = folder_of(path);
    if (folder == "convert" || folder == "cli/parley" || path.starts_with("store/pull.")) continue;
    for (const std::string& included : includes_of(path))
      EXPECT_NE(folder_of(included), "convert") << path << " includes " << included;
  }
}

TEST(IncludeDirections, WhatIsInstalledIsClosed) {
  std::ifstream file(test::source_path("tools/cmake/install.cmake"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex list(R"re(set\(PARLEY_FACADE([^)]*)\))re");
  std::smatch match;
  ASSERT_TRUE(std::regex_search(text, match, list));
  const std::string names = match[1];
  const std::regex name(R"re([^\s]+)re");
  const std::set<std::string> installed(
      std::sregex_token_iterator(names.begin(), names.end(), name), std::sregex_token_iterator());
  EXPECT_GT(installed.size(), 5u);
  EXPECT_LT(installed.size(), 25u);
  for (const std::string& header : installed) {
    for (const std::string& included : includes_of(header))
      EXPECT_TRUE(installed.contains(included)) << header << " includes " << included;
  }
}

// A path that a comment or a document names, as far as it is one of ours.
TEST(Documents, NameFilesThatAreThere) {
  const std::regex named(
      R"re((?:^|[\s("'`\[])((?:base|nn|stage|core|text|dsp|encoder|decoder|vocoder|pipeline|convert|store|cli|tests|bench|docs|tools|train|cmake)/[\w/.-]*\w\.(?:h|cpp|py|sh|cmake|mk|md|svg))\b)re");
  std::vector<std::string> files =
      files_below({"core", "text", "dsp", "encoder", "decoder", "vocoder", "pipeline", "convert",
                   "store", "cli", "tests", "bench", "docs", "tools"},
                  {".h", ".cpp", ".py", ".md", ".txt", ".cmake", ".mk", ".sh"});
  files.insert(files.end(), {"README.md", "Makefile", "CMakeLists.txt"});
  for (const std::string& path : files) {
    const bool code = ends_with_one_of(path, {".h", ".cpp"});
    const fs::path folder = fs::path(path).parent_path();
    for_each_line(path, [&](const std::string& line) {
      const size_t comment = code ? line.find("//") : 0;
      if (comment == std::string::npos) return;
      const std::string text = line.substr(comment);
      for (std::sregex_iterator i(text.begin(), text.end(), named), end; i != end; ++i) {
        const std::string name = (*i)[1];
        const bool there = fs::exists(test::source_path(name)) ||
                           fs::exists(test::source_path(name + ".in")) ||
                           fs::exists(test::source_path((folder / name).generic_string()));
        EXPECT_TRUE(there) << path << " names " << name;
      }
    });
  }
}

}  // namespace
}  // namespace parley
