#include "parley/store/pull.h"

#include "parley/core/base/error.h"
#include "parley/core/model/digest.h"
#include "parley/core/model/model.h"
#include "parley/store/digest_book.h"

namespace parley::store {

namespace fs = std::filesystem;

namespace {

constexpr const char* kConverted = "model";
constexpr const char* kReceived = "received.json";

void say(const PullOptions& options, const std::string& text) {
  if (options.download.notice) options.download.notice(text);
}

// Whether the model is there and everything in it has the size that its manifests say.
bool is_installed(const ModelStore& store, const std::string& name) {
  if (!store.contains(name)) return false;
  try {
    stage::Model::open(store.path(name));
    return true;
  } catch (const Error&) {
    return false;
  }
}

class Pull {
 public:
  Pull(const RegisteredModel& model, const ModelStore& store, const PullOptions& options)
      : model_(model),
        store_(store),
        options_(options),
        work_(store.work_folder(model.name)),
        checkpoint_(work_ / "checkpoint" / model.name),
        recorded_(store.digests_file(model.name)),
        received_(work_ / kReceived) {}

  void run() {
    remove_half_made();
    for (const SourceFile& file : model_.files) fetch(file);
    convert();
    recorded_.record_all(received_);
    store_.install(model_.name, work_ / kConverted);
    tell_unstated();
    store_.clear_work(model_.name);
  }

 private:
  // What a process that was killed while converting has left.
  void remove_half_made() const {
    for (const fs::directory_entry& entry : fs::directory_iterator(work_)) {
      if (entry.path() != work_ / "checkpoint" && entry.path().filename() != kReceived)
        fs::remove_all(entry.path());
    }
  }

  // What an unstated file must be: what was recorded, or if it has come already, what came. Null
  // when it is the first of its kind.
  const Downloaded* known(const SourceFile& file) const {
    if (!is_first(file)) return recorded_.find(file.url);
    std::error_code error;
    return fs::exists(checkpoint_ / file.file, error) ? received_.find(file.url) : nullptr;
  }

  void fetch(const SourceFile& file) {
    const fs::path path = checkpoint_ / file.file;
    DownloadOptions options = options_.download;
    options.bytes = file.bytes;
    options.sha256 = file.sha256;
    const Downloaded* expected = file.sha256.empty() ? known(file) : nullptr;
    if (expected != nullptr) {
      options.bytes = expected->bytes;
      options.sha256 = expected->sha256;
    }
    if (is_there(path, options)) return;
    try {
      const Downloaded got = get(file, path, options);
      if (is_first(file)) received_.record(file.url, got);
    } catch (const NotFound&) {
      if (!file.optional) throw;
      discard_download(path);
    } catch (const WrongContents& error) {
      if (!file.sha256.empty() || is_first(file)) throw;
      throw Error("", error.what(),
                  "expected is what its first download recorded; if the publisher has replaced "
                  "it, --accept-changed takes the new one");
    }
  }

  // No source states its digest, and nothing is to be compared with an earlier download.
  bool is_first(const SourceFile& file) const {
    return file.sha256.empty() && (options_.accept_changed || recorded_.find(file.url) == nullptr);
  }

  Downloaded get(const SourceFile& file, const fs::path& path, DownloadOptions& options) const {
    const std::string url = mirrored_url(file.url, options_.mirror);
    if (options_.offline && !url.starts_with("file:")) {
      throw Error(model_.name, "PARLEY_OFFLINE is set, and " + file.file + " is not here yet",
                  "unset it, or name a folder with PARLEY_MIRROR=file:///FOLDER");
    }
    options.twice_the_space = true;
    if (options_.downloading) {
      options.progress = [&](uint64_t done, uint64_t total) {
        options_.downloading(file, done, total);
      };
    }
    return download(url, path, options);
  }

  static bool is_there(const fs::path& path, const DownloadOptions& expected) {
    std::error_code error;
    return !expected.sha256.empty() && fs::is_regular_file(path, error) &&
           stage::sha256_of_file(path) == expected.sha256;
  }

  fs::path part(const std::string& name) const {
    return name.empty() ? fs::path() : name == "." ? checkpoint_ : checkpoint_ / name;
  }

  void convert() {
    try {
      stage::convert(part(model_.source), work_ / kConverted,
                     {.name = model_.name,
                      .tokenizer = part(model_.tokenizer),
                      .vocoder = part(model_.vocoder),
                      .voices = part(model_.voices),
                      .licence = model_.licence,
                      .url = model_.files.front().url,
                      .progress = [&](const stage::ConvertProgress& progress) {
                        if (options_.download.stopped && options_.download.stopped())
                          throw Stopped();
                        if (options_.converting) options_.converting(progress);
                      }});
    } catch (const Stopped&) {
      throw;
    } catch (const Error&) {
      // It may be because of them: what no digest vouches for is not kept.
      for (const SourceFile& file : model_.files) {
        if (is_first(file)) discard_download(checkpoint_ / file.file);
      }
      throw;
    }
  }

  void tell_unstated() const {
    size_t files = 0;
    for (const SourceFile& file : model_.files) files += received_.find(file.url) != nullptr;
    if (files == 0) return;
    say(options_, model_.name + ": no public source states the SHA-256 of " +
                      std::to_string(files) + " of its files; those of this first download are " +
                      "recorded in " + store_.digests_file(model_.name).string());
  }

  const RegisteredModel& model_;
  const ModelStore& store_;
  const PullOptions& options_;
  fs::path work_;
  fs::path checkpoint_;
  DigestBook recorded_;  // at the first download
  DigestBook received_;  // so far; they become recorded when the model could be converted
};

}  // namespace

PullResult pull(const RegisteredModel& model, const ModelStore& store, const PullOptions& options) {
  const auto is_done = [&] { return is_installed(store, model.name); };
  if (!store.has_work(model.name) && is_done()) return PullResult::kWasThere;  // nothing is written
  const auto waiting = [&] {
    say(options, model.name + ": another process is installing it; waiting");
  };
  const StoreLock lock = store.lock(model.name, waiting, options.download.stopped);
  if (is_done()) {
    store.clear_work(model.name);  // of a process that was killed at the very end
    return PullResult::kWasThere;
  }
  if (store.contains(model.name)) say(options, model.name + ": is damaged; installing it again");
  Pull(model, store, options).run();
  return PullResult::kInstalled;
}

}  // namespace parley::store
