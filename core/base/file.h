// Files as the library uses them: mapped for reading, replaced atomically for writing.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace parley {

// A whole file mapped read-only. Movable; the mapping lives as long as the object.
class MappedFile {
 public:
  MappedFile() = default;
  // Throws Error when the file cannot be opened, is not a regular file, or cannot be mapped; also
  // when it is a Git LFS pointer, which only names the file that is meant. An empty file maps to no
  // bytes.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Tells the kernel that the pages overlapping `range` are not needed soon; they stay readable
  // (read again from disk).
  void release(std::span<const std::byte> range) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::filesystem::path path_;
};

// The whole file as a string. Throws Error when it cannot be read or is longer than max_bytes.
std::string read_file(const std::filesystem::path& path, size_t max_bytes);

// Makes renames in `folder` durable; empty: the current one. Where that cannot be, nothing happens.
void sync_folder(const std::filesystem::path& folder);

// Writes beside `path` under a temporary name; commit() flushes to disk and renames, so that
// readers see the old file or the whole new one. Without commit() nothing is left behind. Every
// failed write throws Error (disk full, closed pipe).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace parley
