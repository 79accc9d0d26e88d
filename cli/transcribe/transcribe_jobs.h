// What `transcribe` works on: each file to read, and the files to write for it.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/pipeline/output/writers.h"

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

  // The jobs of inputs: the file itself, or the audio and video files below a folder, sorted by
  // name. Outputs are OUTPUT/name.format, for files of a folder below the same subfolders; those of
  // inputs that differ in their extension alone (talk.mp3, talk.wav) keep it:
  // OUTPUT/talk.mp3.format. Tells `failed` of what is not there, a folder without audio, and names
  // that are too long to be written. Throws UsageError when an output belongs to an earlier input
  // or is the input itself.
  std::vector<Job> plan(std::span<const std::string> inputs,
                        const std::function<void(const Error&)>& failed);

  // What to say of the names since the last time, a sentence each.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }

 private:
  struct Source {
    std::string input;
    std::filesystem::path name;   // of the outputs, below the output folder
    std::filesystem::path named;  // with the extension of the input
  };
  static std::vector<Source> find(const std::string& input);
  void keep_extensions(std::vector<Source>& sources);
  void keep_extension(Source& source);
  const Source* owner_of(const Source& source) const;
  Job job(Source source);
  std::filesystem::path output_path(const Source& source, const pipeline::Format& format) const;

  std::filesystem::path output_;
  std::vector<const pipeline::Format*> formats_;
  std::unordered_map<std::string, Source> owners_;  // by output
  std::vector<std::string> notes_;
};

// Is it called like an audio or video file? (Files that the user names are read whatever their
// name.)
bool has_media_suffix(const std::filesystem::path& path);

}  // namespace parley::cli
