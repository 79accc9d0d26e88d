#include "parley/store/model_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/manifest.h"

namespace parley::store {

namespace fs = std::filesystem;

namespace {

constexpr const char* kState = ".parley";
constexpr const char* kWork = "work";
constexpr const char* kUsed = "used";
constexpr const char* kRemoved = "removed";  // in the work folder: what is on its way out

bool is_model(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "model.json", error);
}

uint64_t bytes_below(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) bytes += at->file_size(ignored);
  }
  return bytes;
}

// Nothing when there is no such file.
std::optional<std::chrono::system_clock::time_point> time_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::seconds(status.st_mtim.tv_sec) +
          std::chrono::nanoseconds(status.st_mtim.tv_nsec)));
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(folder.string(), "cannot be created: " + error.message());
}

// `to` is replaced.
void move_to(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::remove_all(to, error);
  fs::rename(from, to, error);
  if (error) throw Error(to.string(), "cannot rename into place: " + error.message());
  sync_folder(to.parent_path());
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (stage::is_model_name(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

StoreLock::~StoreLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

StoreLock::StoreLock(StoreLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

StoreLock& StoreLock::operator=(StoreLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

fs::path ModelStore::default_folder() {
  // XDG base directories: relative paths are invalid and ignored.
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && fs::path(data).is_absolute()) return fs::path(data) / "parley/models";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return fs::path(home) / ".local/share/parley/models";
}

fs::path ModelStore::path(const std::string& name) const {
  if (!stage::is_model_name(name)) throw Error(name, "is not a name that a model can have");
  return folder_ / name;
}

fs::path ModelStore::state(const std::string& name) const {
  return folder_ / kState / path(name).filename();
}

bool ModelStore::contains(const std::string& name) const {
  return stage::is_model_name(name) && is_model(folder_ / name);
}

std::vector<std::string> ModelStore::names() const {
  std::vector<std::string> names = names_in(folder_);
  std::erase_if(names, [&](const std::string& name) { return !is_model(folder_ / name); });
  return names;
}

std::vector<InstalledModel> ModelStore::list() const {
  std::vector<InstalledModel> models;
  for (const std::string& name : names()) {
    InstalledModel model{name, path(name), bytes_below(path(name)), {}};
    if (const auto used = time_of(state(name) / kUsed)) {
      model.last_used = *used;
    } else if (const auto made = time_of(model.path / "model.json")) {
      model.last_used = *made;
    }
    models.push_back(std::move(model));
  }
  return models;
}

void ModelStore::mark_used(const std::string& name) const noexcept try {
  const fs::path mark = state(name) / kUsed;
  if (::utimensat(AT_FDCWD, mark.c_str(), nullptr, 0) == 0) return;
  std::error_code ignored;
  fs::create_directories(mark.parent_path(), ignored);
  const int descriptor = ::open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor >= 0) ::close(descriptor);
} catch (...) {
  // A store that cannot be written is used all the same.
}

StoreLock ModelStore::take(const std::string& name, int flags) const {
  const fs::path file = state(name) / "lock";
  make_folder(file.parent_path());
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0)
    throw Error(file.string(), std::string("cannot open: ") + std::strerror(errno));
  StoreLock lock(descriptor);
  if (::flock(descriptor, flags) == 0) return lock;
  if (errno == EWOULDBLOCK || errno == EINTR) return {};
  throw Error(file.string(), std::string("cannot lock: ") + std::strerror(errno));
}

StoreLock ModelStore::try_lock(const std::string& name) const {
  return take(name, LOCK_EX | LOCK_NB);
}

StoreLock ModelStore::lock(const std::string& name, const std::function<void()>& waiting,
                           const std::function<bool()>& stopped) const {
  StoreLock lock = try_lock(name);
  if (!lock && waiting) waiting();
  while (!lock) {
    if (stopped && stopped()) throw Stopped();
    lock = take(name, LOCK_EX);
  }
  return lock;
}

fs::path ModelStore::work_folder(const std::string& name) const {
  fs::path folder = state(name) / kWork;
  make_folder(folder);
  return folder;
}

fs::path ModelStore::digests_file(const std::string& name) const {
  return state(name) / "digests.json";
}

void ModelStore::install(const std::string& name, const fs::path& model) const {
  const fs::path place = path(name);
  if (fs::exists(fs::symlink_status(place))) {
    if (!is_model(place)) {
      throw Error(place.string(), "exists and is not a model folder", "move it away and run again");
    }
    move_to(place, work_folder(name) / kRemoved);
  }
  move_to(model, place);
  mark_used(name);
}

void ModelStore::remove(const std::string& name) const {
  // Readers see the whole model or none of it.
  if (contains(name)) move_to(path(name), work_folder(name) / kRemoved);
  clear_work(name);
  std::error_code ignored;
  fs::remove(state(name) / kUsed, ignored);
}

void ModelStore::clear_work(const std::string& name) const {
  std::error_code error;
  const fs::path folder = state(name) / kWork;
  fs::remove_all(folder, error);
  if (error) throw Error(folder.string(), "cannot be removed: " + error.message());
}

bool ModelStore::has_work(const std::string& name) const {
  std::error_code error;
  return stage::is_model_name(name) && fs::exists(state(name) / kWork, error);
}

std::vector<std::string> ModelStore::names_with_work() const {
  std::vector<std::string> names = names_in(folder_ / kState);
  std::erase_if(names, [&](const std::string& name) { return !has_work(name); });
  return names;
}

PruneResult prune(const ModelStore& store, uint64_t max_bytes,
                  const std::function<bool(const InstalledModel&)>& can_be_pulled) {
  for (const std::string& name : store.names_with_work()) {
    if (const StoreLock lock = store.try_lock(name)) store.clear_work(name);
  }
  PruneResult result;
  std::vector<InstalledModel> models = store.list();
  for (const InstalledModel& model : models) result.bytes += model.bytes;
  std::stable_sort(models.begin(), models.end(),
                   [](const auto& a, const auto& b) { return a.last_used < b.last_used; });
  for (const InstalledModel& model : models) {
    if (result.bytes <= max_bytes) break;
    const StoreLock lock = store.try_lock(model.name);
    if (!lock || !can_be_pulled(model)) {
      result.kept.push_back(model.name);
      continue;
    }
    store.remove(model.name);
    result.bytes -= model.bytes;
    result.removed.push_back(model);
  }
  return result;
}

}  // namespace parley::store
