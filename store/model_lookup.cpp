#include "parley/store/model_lookup.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "parley/core/base/error.h"
#include "parley/core/model/model.h"

namespace parley::store {

namespace fs = std::filesystem;

namespace {

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

// The name of the largest; of equals the first by name; empty when there is none.
std::string best_installed(const ModelStore& store, const std::string& kind) {
  std::string best;
  uint64_t best_bytes = 0;
  for (const std::string& name : store.names()) {
    const uint64_t bytes = weight_bytes(store.path(name), kind);
    if (bytes > best_bytes) {
      best_bytes = bytes;
      best = name;
    }
  }
  return best;
}

// A file or folder of data/models, where the programs came from; empty when it is not there.
fs::path embedded(const std::string& name) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  for (const char* place : {"data/models", "../data/models", "../share/parley/models"}) {
    fs::path path = (program / place / name).lexically_normal();
    if (fs::exists(path, error)) return path;
  }
  return {};
}

fs::path embedded_model(const std::string& name) {
  const fs::path folder = embedded(name);
  return fs::exists(folder / "model.json") ? folder : fs::path();
}

}  // namespace

ModelStore model_store() {
  const fs::path folder = ModelStore::default_folder();
  if (folder.empty()) throw Error("", "there is no place for models: HOME is not set", "set it");
  return ModelStore(folder);
}

Registry model_registry() {
  const char* named = std::getenv("PARLEY_REGISTRY");
  const fs::path path =
      named != nullptr && *named != '\0' ? fs::path(named) : embedded("registry.json");
  if (path.empty()) throw Error("registry.json", "is not where the programs are");
  return read_registry(path);
}

std::string install_advice(const std::string& name) {
  try {
    const Registry registry = model_registry();
    const std::string similar = similar_name(registry, name);
    if (!name.empty() && !similar.empty()) return "install it: parley models pull " + similar;
  } catch (const Error&) {
    // No registry: the general advice will do.
  }
  return "parley models list shows what parley models pull NAME installs; parley convert takes any "
         "checkpoint";
}

ModelStore embedded_models() { return ModelStore(embedded("registry.json").parent_path()); }

fs::path default_model(const std::string& kind, const std::string& embedded) {
  const fs::path folder = ModelStore::default_folder();
  const ModelStore store(folder);
  const std::string best = folder.empty() ? "" : best_installed(store, kind);
  if (best.empty()) return embedded_model(embedded);
  store.mark_used(best);
  return store.path(best);
}

fs::path find_model(const std::string& name_or_folder, const std::string& kind,
                    const std::string& embedded) {
  if (name_or_folder.empty()) {
    fs::path found = default_model(kind, embedded);
    if (found.empty()) throw Error("", "no model is installed", install_advice(""));
    return found;
  }
  const fs::path folder = ModelStore::default_folder();
  const ModelStore store(folder);
  std::error_code error;
  if (fs::exists(name_or_folder, error)) return name_or_folder;
  const bool is_name = name_or_folder.find('/') == std::string::npos && name_or_folder[0] != '.';
  if (is_name && !folder.empty() && store.contains(name_or_folder)) {
    store.mark_used(name_or_folder);
    return store.path(name_or_folder);
  }
  throw Error(name_or_folder,
              is_name && !folder.empty()
                  ? "there is no such folder, and no such model in " + folder.string()
                  : "there is no such folder",
              install_advice(is_name ? name_or_folder : ""));
}

bool is_embedded_model(const fs::path& folder, const std::string& embedded) {
  return !folder.empty() && folder == embedded_model(embedded);
}

}  // namespace parley::store
