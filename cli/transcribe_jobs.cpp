#include "cli/transcribe_jobs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "cli/program.h"

namespace parley::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 40> kMediaSuffixes = {
    ".3gp", ".aac",  ".ac3",  ".aif",  ".aifc", ".aiff", ".amr",  ".ape",  ".asf", ".au",
    ".avi", ".caf",  ".dts",  ".flac", ".flv",  ".m2ts", ".m4a",  ".m4b",  ".m4v", ".mka",
    ".mkv", ".mov",  ".mp2",  ".mp3",  ".mp4",  ".mpeg", ".mpg",  ".mts",  ".oga", ".ogg",
    ".ogv", ".opus", ".rf64", ".snd",  ".w64",  ".wav",  ".wave", ".webm", ".wma", ".wmv"};

static_assert(std::is_sorted(kMediaSuffixes.begin(), kMediaSuffixes.end()));

bool is_hidden(const fs::path& path) { return path.filename().native().front() == '.'; }

// Paths relative to `folder`; hidden files and folders are left out.
std::vector<fs::path> media_below(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::recursive_directory_iterator at(folder, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (is_hidden(at->path())) {
      at.disable_recursion_pending();
    } else if (has_media_suffix(at->path()) && at->is_regular_file(error)) {
      found.push_back(at->path().lexically_relative(folder));
    }
  }
  if (error) throw Error(folder.string(), "cannot be searched: " + error.message());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

bool has_media_suffix(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::binary_search(kMediaSuffixes.begin(), kMediaSuffixes.end(), suffix);
}

JobPlanner::JobPlanner(fs::path output, std::span<const pipeline::Format* const> formats)
    : output_(std::move(output)), formats_(formats.begin(), formats.end()) {}

std::vector<Job> JobPlanner::plan(const std::string& input) {
  if (input == kStandardInput) return {job(input, "stdin")};
  const fs::path path(input);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw Error(input, error && status.type() == fs::file_type::none ? error.message()
                                                                     : "no such file or folder");
  }
  if (!fs::is_directory(status)) return {job(input, path.stem())};
  std::vector<Job> jobs;
  for (const fs::path& file : media_below(path)) {
    jobs.push_back(job((path / file).string(), file.parent_path() / file.stem()));
  }
  if (jobs.empty()) throw Error(input, "there is no audio or video file in this folder");
  return jobs;
}

Job JobPlanner::job(const std::string& input, const fs::path& stem) {
  Job made{.input = input, .outputs = {}};
  if (output_.empty()) return made;
  for (const pipeline::Format* format : formats_) {
    fs::path path = output_ / stem;
    path += "." + std::string(format->name);
    path = path.lexically_normal();
    const auto [owner, is_new] = owners_.emplace(path.string(), input);
    if (!is_new) {
      throw UsageError("'" + owner->second + "' and '" + input + "' would both be written to " +
                       path.string() + "; give them different output folders");
    }
    std::error_code error;
    if (fs::equivalent(path, input, error)) {
      throw UsageError("'" + input + "' would be overwritten by its own transcript");
    }
    made.outputs.push_back(std::move(path));
  }
  return made;
}

}  // namespace parley::cli
