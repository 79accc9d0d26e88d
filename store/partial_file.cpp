#include "parley/store/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"

namespace parley::store {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxValidator = 1024;

fs::path with_suffix(const fs::path& file, const char* suffix) {
  return fs::path(file.string() + suffix);
}

// Empty when there is none.
std::string read_validator(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kMaxValidator) return "";
  return read_file(path, kMaxValidator);
}

}  // namespace

PartialFile::PartialFile(fs::path file)
    : file_(std::move(file)),
      part_(with_suffix(file_, ".part")),
      version_(with_suffix(file_, ".part.version")),
      validator_(read_validator(version_)) {
  descriptor_ = ::open(part_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor_ < 0) fail("cannot open");
}

PartialFile::PartialFile(fs::path file, uint64_t max_bytes, bool digest_known)
    : PartialFile(std::move(file)) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) fail("cannot use");
  bytes_ = static_cast<uint64_t>(status.st_size);
  digest_.emplace();
  if (bytes_ > max_bytes || (validator_.empty() && !digest_known)) {
    restart("");
  } else {
    hash_existing();
  }
}

PartialFile::~PartialFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartialFile::hash_existing() {
  std::array<std::byte, size_t{1} << 16> buffer;
  for (uint64_t left = bytes_; left > 0;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("cannot read");
    digest_->update(std::span(buffer).first(static_cast<size_t>(got)));
    left -= static_cast<uint64_t>(got);
  }
}

void PartialFile::append(std::span<const std::byte> data) {
  digest_->update(data);
  while (!data.empty()) {
    const ssize_t put = ::write(descriptor_, data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write");
    bytes_ += static_cast<uint64_t>(put);
    data = data.subspan(static_cast<size_t>(put));
  }
}

void PartialFile::restart(const std::string& validator) {
  std::error_code ignored;
  fs::remove(version_, ignored);  // first: it must not vouch for what comes
  if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0)
    fail("cannot write");
  digest_.emplace();
  bytes_ = 0;
  in_pieces_ = false;
  validator_ = validator.size() <= kMaxValidator ? validator : "";
  if (validator_.empty()) return;
  AtomicFile file(version_);
  file.write(validator_);
  file.commit();
}

std::string PartialFile::sha256() { return digest_->hex(); }

void PartialFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot write");
  if (::rename(part_.c_str(), file_.c_str()) != 0) fail("cannot rename into place");
  std::error_code ignored;
  fs::remove(version_, ignored);
  sync_folder(file_.parent_path());
}

void PartialFile::discard() {
  std::error_code ignored;
  fs::remove(version_, ignored);
  fs::remove(part_, ignored);
}

void PartialFile::fail(const char* doing) const {
  throw Error(part_.string(), std::string(doing) + ": " + std::strerror(errno),
              errno == ENOSPC ? "free some disk space and run again: what has come is kept" : "");
}

}  // namespace parley::store
