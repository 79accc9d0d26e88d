// What `transcribe` works on: each file to read, and the files to write for it.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pipeline/writers.h"

namespace parley::cli {

inline constexpr std::string_view kStandardInput = "-";

struct Job {
  std::string input;  // as given; in a folder, with the folder's name before it; "-"
  std::vector<std::filesystem::path> outputs;  // one per format; empty: standard output
};

// Makes jobs of inputs. Remembers every output so that no two inputs write the same one.
class JobPlanner {
 public:
  // output: folder for the results; empty: standard output.
  JobPlanner(std::filesystem::path output, std::span<const pipeline::Format* const> formats);

  // The jobs of one input: the file itself, or the audio and video files below a folder, sorted by
  // name. Outputs are OUTPUT/name.format, for files of a folder below the same subfolders. Throws
  // Error for what is not there and for a folder without audio, UsageError when an output belongs
  // to an earlier input or is the input itself.
  std::vector<Job> plan(const std::string& input);

 private:
  Job job(const std::string& input, const std::filesystem::path& stem);

  std::filesystem::path output_;
  std::vector<const pipeline::Format*> formats_;
  std::unordered_map<std::string, std::string> owners_;  // output, input
};

// Is it called like an audio or video file? (Files that the user names are read whatever their
// name.)
bool has_media_suffix(const std::filesystem::path& path);

}  // namespace parley::cli
