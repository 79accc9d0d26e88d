#include "parley/core/model/folder_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"

namespace parley::stage {

namespace fs = std::filesystem;

namespace {

fs::path without_trailing_slash(fs::path path) {
  path = path.lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

fs::path make_temporary(const fs::path& destination) {
  std::string name = destination.string() + ".XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(destination.string(), std::string("cannot create: ") + std::strerror(errno));
  }
  ::chmod(name.c_str(), 0755);
  return name;
}

}  // namespace

FolderWriter::FolderWriter(fs::path destination, std::string marker)
    : destination_(without_trailing_slash(std::move(destination))), marker_(std::move(marker)) {
  if (destination_.empty()) throw Error("", "no folder was named for the result");
  check_destination();
  std::error_code error;
  if (destination_.has_parent_path()) fs::create_directories(destination_.parent_path(), error);
  temporary_ = make_temporary(destination_);
}

FolderWriter::~FolderWriter() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void FolderWriter::check_destination() const {
  const fs::file_status status = fs::symlink_status(destination_);
  if (!fs::exists(status)) return;
  const bool replaceable =
      fs::is_directory(status) &&
      (fs::is_empty(destination_) || fs::is_regular_file(destination_ / marker_));
  if (!replaceable) {
    throw Error(destination_.string(), "exists and is not a model folder",
                "name another folder or remove it first");
  }
}

fs::path FolderWriter::subfolder(const std::string& name) const {
  fs::path path = temporary_ / name;
  fs::create_directories(path);
  return path;
}

void FolderWriter::commit() {
  check_destination();
  sync_folder(temporary_);
  const auto rename = [&](const fs::path& from, const fs::path& to) {
    std::error_code error;
    fs::rename(from, to, error);
    if (error) throw Error(to.string(), "cannot rename into place: " + error.message());
  };
  fs::path old;
  if (fs::exists(destination_)) {
    old = make_temporary(destination_);
    rename(destination_, old);
  }
  rename(temporary_, destination_);
  temporary_.clear();
  sync_folder(destination_.parent_path());
  std::error_code ignored;
  if (!old.empty()) fs::remove_all(old, ignored);
}

}  // namespace parley::stage
