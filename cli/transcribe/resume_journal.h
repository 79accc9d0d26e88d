// What has been transcribed into a folder, and how: lets --resume skip it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>

#include "parley/cli/transcribe/transcribe_jobs.h"

namespace parley::cli {

// The file .parley-resume.jsonl in the output folder: a line for every output, appended when it is
// complete, {"output": relative path, "made": key}. The last line about an output counts; lines
// that cannot be read (a crash while writing) count as nothing. Programs that write into one folder
// at the same time may share it.
class ResumeJournal {
 public:
  static constexpr std::string_view kName = ".parley-resume.jsonl";

  // recipe: whatever besides the input decides the results (model digest, options). read: existing
  // lines matter (--resume). Throws Error when the folder or the file cannot be written.
  ResumeJournal(const std::filesystem::path& folder, std::string recipe, bool read);
  ~ResumeJournal();
  ResumeJournal(const ResumeJournal&) = delete;
  ResumeJournal& operator=(const ResumeJournal&) = delete;

  // Stands for the recipe and the input as it is now: path, bytes, time of change. Empty for
  // standard input and what is not there.
  std::string key(const Job& job) const;
  // All outputs exist and were made under this key.
  bool is_done(const Job& job, const std::string& key) const;
  // Notes that they are complete. Throws Error when that cannot be written.
  void note(const Job& job, const std::string& key);

 private:
  std::string relative(const std::filesystem::path& output) const;
  void read_lines(const std::filesystem::path& path);

  std::filesystem::path folder_;
  std::string recipe_;
  std::unordered_map<std::string, std::string> made_;  // output, key
  int file_ = -1;
};

}  // namespace parley::cli
