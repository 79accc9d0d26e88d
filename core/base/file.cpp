#include "parley/core/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "parley/core/base/error.h"

namespace parley {

namespace {

class Descriptor {
 public:
  explicit Descriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw Error(path.string(), std::string("cannot open: ") + std::strerror(errno));
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

size_t regular_file_size(int fd, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    throw Error(path.string(), std::string("cannot stat: ") + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw Error(path.string(), "is not a regular file");
  return static_cast<size_t>(status.st_size);
}

// A clone of a Git repository whose large files were not fetched has these in their places
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md). No file that the library reads
// begins so.
void refuse_lfs_pointer(std::string_view text, const std::filesystem::path& path) {
  constexpr std::string_view kBeginning = "version https://git-lfs.github.com/spec/";
  constexpr std::string_view kSize = "\nsize ";
  constexpr size_t kMaxPointer = 1024;  // the specification's
  if (text.size() >= kMaxPointer || !text.starts_with(kBeginning)) return;
  std::string bytes;
  if (const size_t at = text.find(kSize); at != std::string_view::npos) {
    const size_t begin = at + kSize.size();
    const size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
    bytes = " of " + std::string(text.substr(begin, end - begin)) + " bytes";
  }
  throw Error(path.string(), "is a Git LFS pointer: it names a file" + bytes + " and is not it",
              "fetch it with `git lfs pull`");
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : MappedFile() {
  path_ = path;
  const Descriptor file(path);
  size_ = regular_file_size(file.get(), path);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED)
    throw Error(path.string(), std::string("cannot map: ") + std::strerror(errno));
  data_ = static_cast<const std::byte*>(mapped);
  refuse_lfs_pointer({reinterpret_cast<const char*>(data_), size_}, path);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

void MappedFile::release(std::span<const std::byte> range) const {
  if (range.empty() || range.data() < data_ || range.data() + range.size() > data_ + size_) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = static_cast<size_t>(range.data() - data_) / page * page;
  const size_t end = static_cast<size_t>(range.data() - data_) + range.size();
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

std::string read_file(const std::filesystem::path& path, size_t max_bytes) {
  const MappedFile file(path);
  if (file.bytes().size() > max_bytes) {
    throw Error(path.string(),
                "is larger than " + std::to_string(max_bytes) + " bytes, the most allowed here");
  }
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::string name = path_.string() + ".XXXXXX";
  const int fd = ::mkstemp(name.data());
  temporary_ = name;
  if (fd < 0) fail("cannot create");
  ::fchmod(fd, 0644);
  file_ = ::fdopen(fd, "wb");
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail("cannot write");
}

void AtomicFile::commit() {
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail("cannot write");
  std::FILE* file = std::exchange(file_, nullptr);
  const bool closed = std::fclose(file) == 0;
  if (!closed || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail(closed ? "cannot rename into place" : "cannot write");
  }
}

void AtomicFile::fail(const char* doing) const {
  throw Error(path_.string(), std::string(doing) + ": " + std::strerror(errno),
              errno == ENOSPC ? "free some disk space and run again" : "");
}

}  // namespace parley
