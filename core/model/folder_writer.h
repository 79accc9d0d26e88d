// A folder that appears whole or not at all.
#pragma once

#include <filesystem>
#include <string>

namespace parley::stage {

// Collects files in a temporary folder beside `destination`; commit() renames it into place.
// Without commit() nothing is left behind (a killed process leaves the temporary folder, never a
// half-made destination).
class FolderWriter {
 public:
  // An existing folder at `destination` is replaced when it is empty or holds a file named
  // `marker`. Throws Error for anything else there, and when its parent cannot be written.
  FolderWriter(std::filesystem::path destination, std::string marker);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  const std::filesystem::path& path() const { return temporary_; }
  // path() / name, created when it is not there.
  std::filesystem::path subfolder(const std::string& name) const;
  void commit();

 private:
  void check_destination() const;

  std::filesystem::path destination_;
  std::string marker_;
  std::filesystem::path temporary_;
};

}  // namespace parley::stage
