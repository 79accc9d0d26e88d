#include "parley/core/model/packed_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/model/digest.h"
#include "parley/core/nn/cpu/isa.h"

namespace parley::stage {

namespace fs = std::filesystem;

namespace {

// Raised whenever a kernel wants its weights in another order or other sizes.
constexpr int kVersion = 1;
constexpr const char* kIdentity = "packed";  // key of the metadata
constexpr const char* kExtension = ".safetensors";
constexpr auto kAbandoned = std::chrono::hours(1);  // a temporary file that nobody finished

// Parts are laid one after another on such boundaries.
size_t padded(size_t bytes) {
  return (bytes + nn::Buffer::kAlignment - 1) / nn::Buffer::kAlignment * nn::Buffer::kAlignment;
}

std::string part_name(const std::string& key, size_t part) {
  return key + " #" + std::to_string(part);
}

bool is_own(const struct stat& status) {
  return status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::shared_ptr<const Safetensors> open_file(const fs::path& path, const std::string& identity) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || !is_own(status))
    return nullptr;
  auto file = std::make_shared<const Safetensors>(path);
  const auto found = file->metadata().find(kIdentity);
  if (found == file->metadata().end() || found->second != identity) return nullptr;
  return file;
}

struct CacheFile {
  fs::path path;
  uint64_t bytes = 0;
  fs::file_time_type used;
};

std::vector<CacheFile> files_in(const fs::path& folder) {
  std::vector<CacheFile> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored) ||
        at->path().filename().string().find(kExtension) == std::string::npos)
      continue;
    files.push_back({at->path(), at->file_size(ignored), at->last_write_time(ignored)});
  }
  return files;
}

}  // namespace

std::vector<nn::Buffer> PackedStage::take(const std::string& key, std::span<const size_t> sizes) {
  std::vector<nn::Buffer> parts;
  if (file_ == nullptr) return parts;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) {
      parts.emplace_back();
      continue;
    }
    const std::string name = part_name(key, i);
    const bool there =
        file_->contains(name) && file_->dtype(name) == "U8" &&
        file_->bytes(name).size() == padded(sizes[i]) &&
        reinterpret_cast<uintptr_t>(file_->bytes(name).data()) % nn::Buffer::kAlignment == 0;
    if (!there) {
      unfit_ = true;
      file_.reset();
      return {};
    }
    parts.push_back(nn::Buffer::view(file_->bytes(name).first(sizes[i]), file_));
  }
  return parts;
}

void PackedStage::keep(const std::string& key, std::vector<nn::Buffer> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].size() != 0) parts_.push_back({part_name(key, i), std::move(parts[i])});
  }
}

std::string packed_identity(const Stage& stage, nn::Precision precision) {
  const auto& weights = stage.manifest().weights;
  if (!weights) return "";
  const fs::path path = fs::path(stage.where()).parent_path() / weights->file;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "";
  std::string identity = "version " + std::to_string(kVersion) + ", parley ";
  identity += runtime_version();
  identity += ", " + nn::describe_libraries() + ", ";
  identity += nn::name_of(nn::isa());
  identity += ", ";
  identity += nn::name_of(precision);
  identity += ", " + stage.name() + " " + weights->sha256 + ", " + std::to_string(status.st_size) +
              " bytes of " + std::to_string(status.st_mtim.tv_sec) + "." +
              std::to_string(status.st_mtim.tv_nsec);
  return identity;
}

fs::path user_cache_folder() {
  // XDG base directories: relative paths are invalid and ignored.
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "parley";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? fs::path(home) / ".cache" / "parley" : fs::path();
}

std::optional<PackedCache> PackedCache::for_user() {
  if (const char* chosen = std::getenv("PARLEY_CACHE"); chosen != nullptr && *chosen != '\0') {
    if (std::string_view(chosen) == "off") return std::nullopt;
    return PackedCache(chosen);
  }
  const fs::path folder = user_cache_folder();
  return folder.empty() ? std::nullopt : std::optional(PackedCache(folder / "packed"));
}

uint64_t PackedCache::bytes() const {
  const auto files = files_in(folder_);
  return std::accumulate(files.begin(), files.end(), uint64_t{0},
                         [](uint64_t sum, const CacheFile& file) { return sum + file.bytes; });
}

std::string PackedCache::refusal() const {
  struct stat status {};
  if (::stat(folder_.c_str(), &status) != 0) return "";  // will be made
  if (!S_ISDIR(status.st_mode)) return "is not a folder";
  return is_own(status) ? "" : "belongs to another user, or others may write to it";
}

fs::path PackedCache::path_of(const std::string& identity) const {
  Sha256 digest;
  digest.update(identity);
  return folder_ / (digest.hex().substr(0, 32) + kExtension);
}

PackedStage PackedCache::open(const Stage& stage, nn::Precision precision) const {
  std::string identity = packed_identity(stage, precision);
  std::shared_ptr<const Safetensors> file;
  try {
    if (!identity.empty() && refusal().empty()) file = open_file(path_of(identity), identity);
  } catch (const Error&) {
    // Cut or damaged: packed anew and replaced.
  }
  return {std::move(identity), std::move(file)};
}

void PackedCache::close(const PackedStage& packed) const noexcept try {
  if (packed.identity().empty()) return;
  const fs::path path = path_of(packed.identity());
  if (packed.unfit()) {
    std::error_code ignored;
    if (refusal().empty()) fs::remove(path, ignored);
  } else if (packed.parts().empty()) {
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used just now
  } else {
    write(packed);
  }
} catch (...) {
  // A cache that cannot be written is done without.
}

void PackedCache::write(const PackedStage& packed) const {
  uint64_t bytes = 0;
  std::vector<TensorInfo> tensors;
  for (const PackedStage::Part& part : packed.parts()) {
    const size_t size = padded(part.data.size());
    bytes += size;
    tensors.push_back({part.name, nn::DType::kU8, nn::Shape{static_cast<int64_t>(size)}});
  }
  if (bytes < min_bytes_ || bytes > max_bytes_) return;
  if (fs::create_directories(folder_)) fs::permissions(folder_, fs::perms::owner_all);
  if (!refusal().empty() || fs::space(folder_).available / 2 < bytes) return;
  make_room(bytes);
  SafetensorsWriter writer(path_of(packed.identity()), std::move(tensors),
                           {{kIdentity, packed.identity()}});
  static constexpr std::array<std::byte, nn::Buffer::kAlignment> kZeros{};
  for (const PackedStage::Part& part : packed.parts()) {
    const size_t size = part.data.size();
    writer.write(part.name, part.data.bytes());
    writer.write(part.name, std::span(kZeros).first(padded(size) - size));
  }
  writer.commit();
}

void PackedCache::make_room(uint64_t bytes) const {
  std::vector<CacheFile> files = files_in(folder_);
  std::sort(files.begin(), files.end(),
            [](const CacheFile& a, const CacheFile& b) { return a.used < b.used; });
  for (const CacheFile& file : files) bytes += file.bytes;
  const auto now = fs::file_time_type::clock::now();
  for (const CacheFile& file : files) {
    const bool abandoned = file.path.extension() != kExtension && now - file.used > kAbandoned;
    if (bytes <= max_bytes_ && !abandoned) continue;
    std::error_code ignored;
    fs::remove(file.path, ignored);
    bytes -= file.bytes;
  }
}

}  // namespace parley::stage
