// A registered model from the network into the store.
#pragma once

#include <functional>
#include <string>

#include "parley/convert/convert.h"
#include "parley/store/download.h"
#include "parley/store/model_store.h"
#include "parley/store/registry.h"

namespace parley::store {

struct PullOptions {
  std::string mirror = {};        // where all files come from instead (mirrored_url)
  bool offline = false;           // no network: only file: URLs, and what was downloaded before
  bool accept_changed = false;    // files may differ from those of the first download
  DownloadOptions download = {};  // attempts and delays; notice and stopped are for all of it
  std::function<void(const SourceFile&, uint64_t done, uint64_t total)> downloading = {};
  std::function<void(const stage::ConvertProgress&)> converting = {};
};

enum class PullResult { kInstalled, kWasThere };

// Downloads the model's files, converts them, and installs the result in one step: at any moment
// the store has the whole model or none. One process does it, others wait and find it done. A
// damaged model there is replaced. Files of which the registry states no digest are compared with
// what the first download recorded; what has come stays for the next call when this one fails or
// is killed. Throws Stopped, and Error naming the URL or file.
PullResult pull(const RegisteredModel& model, const ModelStore& store, const PullOptions& options);

}  // namespace parley::store
