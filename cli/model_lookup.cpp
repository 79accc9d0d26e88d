#include "cli/model_lookup.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "stage/model.h"

namespace parley::cli {

namespace fs = std::filesystem;

namespace {

bool is_model(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "model.json", error);
}

// Bytes of weights of a model of `kind` that can be opened; 0 for everything else.
uint64_t weight_bytes(const fs::path& folder, const std::string& kind) {
  try {
    const stage::Model model = stage::Model::open(folder);
    if (model.kind() != kind) return 0;
    uint64_t bytes = 0;
    for (const stage::Stage& stage : model.stages()) {
      if (stage.manifest().weights) bytes += stage.manifest().weights->bytes;
    }
    return bytes;
  } catch (const std::exception&) {
    return 0;  // damaged, or of a newer version: not the best one
  }
}

// The largest; of equals the first by name.
fs::path best_installed(const fs::path& models, const std::string& kind) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator at(models, error), end; !error && at != end; at.increment(error)) {
    if (is_model(at->path())) folders.push_back(at->path());
  }
  std::sort(folders.begin(), folders.end());
  fs::path best;
  uint64_t best_bytes = 0;
  for (const fs::path& folder : folders) {
    const uint64_t bytes = weight_bytes(folder, kind);
    if (bytes > best_bytes) {
      best_bytes = bytes;
      best = folder;
    }
  }
  return best;
}

fs::path embedded_model(const std::string& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  for (const char* place : {"data/models", "../data/models", "../share/parley/models"}) {
    fs::path folder = (program / place / name).lexically_normal();
    if (is_model(folder)) return folder;
  }
  return {};
}

}  // namespace

fs::path installed_models_folder() {
  // XDG base directories: relative paths are invalid and ignored.
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && fs::path(data).is_absolute()) return fs::path(data) / "parley/models";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return fs::path(home) / ".local/share/parley/models";
}

fs::path find_model(const std::string& name_or_folder, const std::string& kind,
                    const std::string& embedded) {
  const fs::path installed = installed_models_folder();
  const std::string make = "make one with: parley convert CHECKPOINT -o FOLDER";
  if (name_or_folder.empty()) {
    fs::path found = installed.empty() ? fs::path() : best_installed(installed, kind);
    if (found.empty()) found = embedded_model(embedded);
    if (found.empty()) throw Error("", "no model is installed", make + ", then give -m FOLDER");
    return found;
  }
  std::error_code error;
  if (fs::exists(name_or_folder, error)) return name_or_folder;
  const bool is_name = name_or_folder.find('/') == std::string::npos && name_or_folder[0] != '.';
  if (is_name && !installed.empty() && is_model(installed / name_or_folder)) {
    return installed / name_or_folder;
  }
  throw Error(name_or_folder,
              is_name && !installed.empty()
                  ? "there is no such folder, and no such model in " + installed.string()
                  : "there is no such folder",
              make);
}

bool is_embedded_model(const fs::path& folder, const std::string& embedded) {
  return !folder.empty() && folder == embedded_model(embedded);
}

}  // namespace parley::cli
