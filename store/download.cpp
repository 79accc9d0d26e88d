#include "parley/store/download.h"

#include <algorithm>
#include <random>
#include <thread>

#include "parley/store/transfer.h"

namespace parley::store {

namespace fs = std::filesystem;

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMaxDelay{30000};
constexpr milliseconds kTick{50};  // how soon a signal ends the wait
constexpr int kMaxAttempts = 100;  // also of a server that gives a byte at a time

// Exponential, so that a server in trouble gets less to do; with jitter, so that those whom it has
// all cut off at once do not all come back at once.
milliseconds delay_after(int failures, milliseconds first) {
  std::random_device random;
  std::uniform_real_distribution<double> jitter(0.5, 1);
  const auto doubled = first * (int64_t{1} << std::min(failures - 1, 16));
  return std::chrono::duration_cast<milliseconds>(std::min(doubled, kMaxDelay) * jitter(random));
}

void wait(milliseconds delay, const std::function<bool()>& stopped) {
  const auto end = std::chrono::steady_clock::now() + delay;
  for (auto now = end - delay; now < end; now = std::chrono::steady_clock::now()) {
    if (stopped && stopped()) throw Stopped();
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(end - now, kTick));
  }
}

// Until the server says that the file is complete.
void fetch_all(const std::string& url, PartialFile& part, const DownloadOptions& options) {
  int failures = 0;
  for (int attempt = 1;; ++attempt) {
    const uint64_t before = part.bytes();
    if (before > 0) part.resume();
    Transfer transfer(url, part, options);
    const TransferResult result = transfer.run();
    if (result == TransferResult::kComplete) return;
    if (result == TransferResult::kNoSuchRange) part.restart("");
    failures = part.bytes() > before ? 1 : failures + 1;
    if (failures >= options.attempts || attempt >= kMaxAttempts) {
      throw Error(shown_url(url), transfer.problem() + ", again and again",
                  part.bytes() > 0 ? "what has come is kept: run again to go on" : "");
    }
    const auto delay =
        std::max<milliseconds>(delay_after(failures, options.first_delay), transfer.retry_after());
    if (options.notice) {
      options.notice(shown_url(url) + ": " + transfer.problem() + "; trying again in " +
                     std::to_string((delay.count() + 999) / 1000) + " s");
    }
    wait(delay, options.stopped);
  }
}

}  // namespace

Downloaded download(const std::string& url, const fs::path& file, const DownloadOptions& given) {
  DownloadOptions options = given;
  if (!options.free_bytes)
    options.free_bytes = [&] { return fs::space(file.parent_path()).available; };
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw Error(file.parent_path().string(), "cannot be created: " + error.message());
  for (;;) {
    PartialFile part(file, options.bytes.value_or(options.max_bytes), !options.sha256.empty());
    fetch_all(url, part, options);
    const Downloaded result{part.bytes(), part.sha256()};
    const bool right_size = !options.bytes || *options.bytes == result.bytes;
    if (right_size && (options.sha256.empty() || options.sha256 == result.sha256)) {
      part.commit();
      return result;
    }
    part.discard();
    if (part.in_pieces()) {
      if (options.notice)
        options.notice(shown_url(url) + ": the pieces do not fit together; fetching it as a whole");
      continue;
    }
    throw WrongContents(shown_url(url),
                        right_size
                            ? "has the SHA-256 " + result.sha256 + ", expected " + options.sha256
                            : "has " + std::to_string(result.bytes) + " bytes, expected " +
                                  std::to_string(*options.bytes),
                        "the file was changed at its source or on the way; nothing was installed");
  }
}

void discard_download(const fs::path& file) {
  std::error_code ignored;
  for (const char* suffix : {"", ".part", ".part.version"})
    fs::remove(fs::path(file.string() + suffix), ignored);
}

std::string mirrored_url(const std::string& url, const std::string& mirror) {
  const size_t scheme = url.find("://");
  if (mirror.empty() || scheme == std::string::npos || url.starts_with("file:")) return url;
  return mirror.substr(0, mirror.find_last_not_of('/') + 1) + "/" + url.substr(scheme + 3);
}

}  // namespace parley::store
