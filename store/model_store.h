// The folder of installed models: <store>/NAME is a model folder. Any number of processes read it;
// who changes the model NAME holds its lock. What is no model lies in <store>/.parley/NAME/:
//   lock         of whoever installs or removes it
//   used         when it was last used: the file's time
//   work/        downloads, and a model that is being converted; removed by remove() and prune()
//   digests.json what pull recorded of the files (store/pull.h)
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace parley::store {

// The lock of one model, held as long as the object lives, given back too when the process dies.
class StoreLock {
 public:
  StoreLock() = default;
  explicit StoreLock(int descriptor) : descriptor_(descriptor) {}
  ~StoreLock();
  StoreLock(StoreLock&& other) noexcept;
  StoreLock& operator=(StoreLock&& other) noexcept;
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

struct InstalledModel {
  std::string name;  // of its folder
  std::filesystem::path path;
  uint64_t bytes = 0;  // of all its files
  std::chrono::system_clock::time_point last_used;
};

class ModelStore {
 public:
  // Nothing is created before something is written.
  explicit ModelStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // $XDG_DATA_HOME/parley/models, else ~/.local/share/parley/models; empty when neither is known.
  static std::filesystem::path default_folder();

  const std::filesystem::path& folder() const { return folder_; }
  // Where the model lies, or will lie. Throws Error when it is no name of a model.
  std::filesystem::path path(const std::string& name) const;
  bool contains(const std::string& name) const;
  std::vector<std::string> names() const;    // of all models, sorted
  std::vector<InstalledModel> list() const;  // the same, with what they take

  // Remembers that the model was just used; does nothing where the store cannot be written.
  void mark_used(const std::string& name) const noexcept;

  // Waits for the model's lock, after calling `waiting` once if another process has it. A signal
  // ends the wait: then Stopped is thrown if `stopped` says so. Throws Error when the store cannot
  // be written.
  StoreLock lock(const std::string& name, const std::function<void()>& waiting = {},
                 const std::function<bool()>& stopped = {}) const;
  // Empty when another process has it.
  StoreLock try_lock(const std::string& name) const;

  // What follows needs the model's lock.
  std::filesystem::path work_folder(const std::string& name) const;  // made when it is not there
  std::filesystem::path digests_file(const std::string& name) const;
  // Moves a model folder of the same file system into its place; a model there is replaced.
  // Throws Error when anything else is there.
  void install(const std::string& name, const std::filesystem::path& model) const;
  void remove(const std::string& name) const;  // the model, and what was downloaded for it
  void clear_work(const std::string& name) const;

  // Whether something was downloaded for it, or half made of it; and all such names.
  bool has_work(const std::string& name) const;
  std::vector<std::string> names_with_work() const;

 private:
  std::filesystem::path state(const std::string& name) const;
  StoreLock take(const std::string& name, int flags) const;

  std::filesystem::path folder_;
};

struct PruneResult {
  std::vector<InstalledModel> removed;
  std::vector<std::string> kept;  // cannot be pulled again, or another process is changing them
  uint64_t bytes = 0;             // of the models that remain
};

// Removes models, the one not used for longest first, until those that remain take at most
// max_bytes, and all downloads that no process is working on. Only models for which
// can_be_pulled() says so are removed: others might be somebody's only copy.
PruneResult prune(const ModelStore& store, uint64_t max_bytes,
                  const std::function<bool(const InstalledModel&)>& can_be_pulled);

}  // namespace parley::store
