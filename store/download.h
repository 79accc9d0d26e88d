// One file from the network, by libcurl: http, https, file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "parley/core/base/error.h"

namespace parley::store {

struct DownloadOptions {
  std::optional<uint64_t> bytes = {};  // what the file must have, where that is known
  std::string sha256 = {};             // likewise; 64 digits, else empty
  uint64_t max_bytes = uint64_t{64} << 30;
  bool twice_the_space = false;  // free disk space is wanted for something made of the file, too
  int attempts = 6;              // in a row without a new byte
  std::chrono::milliseconds first_delay{1000};  // doubled after each such attempt, with jitter
  std::function<uint64_t()> free_bytes = {};    // default: of the file's file system
  std::function<void(uint64_t done, uint64_t total)> progress = {};  // total 0: not known
  std::function<void(const std::string&)> notice = {};               // a line for the user
  std::function<bool()> stopped = {};
};

struct Downloaded {
  uint64_t bytes = 0;
  std::string sha256;
};

// There is no such file.
class NotFound : public Error {
 public:
  using Error::Error;
};

// The file is not the one that was expected.
class WrongContents : public Error {
 public:
  using Error::Error;
};

// Downloads to `file`, which appears whole or not at all. What has come so far is kept beside it,
// in file.part, and the next call goes on from there (with If-Range, or if the digest is known:
// never two versions in one file). Broken connections and 408, 429, 5xx are tried again; after a
// wrong digest the file is fetched once more if it came in pieces. A server's lengths are believed
// only as far as they agree with what was said and with what comes. TLS is verified; redirects, at
// most 8, never leave https. Proxies: libcurl's environment variables. Throws NotFound,
// WrongContents, Stopped, and Error naming the URL.
Downloaded download(const std::string& url, const std::filesystem::path& file,
                    const DownloadOptions& options = {});

// Removes `file` and what is kept of it beside it.
void discard_download(const std::filesystem::path& file);

// The URL on a mirror, which has the files under MIRROR/HOST/PATH, as `wget -x` makes them.
std::string mirrored_url(const std::string& url, const std::string& mirror);

}  // namespace parley::store
