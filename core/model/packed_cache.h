// Packed weights on disk: a process maps what an earlier one packed, and all that do so share its
// pages. One safetensors file for each stage, precision and kind of processor; its tensors are the
// parts of nn::Weights by their packing keys (docs/formats.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/model/safetensors.h"
#include "parley/core/nn/packing.h"
#include "parley/core/nn/weight.h"

namespace parley::stage {

// What one stage is loaded with: parts are either all taken from its file or all kept for it.
class PackedStage : public nn::KeptParts {
 public:
  // No file has this identity yet, or `file` is a good one.
  PackedStage(std::string identity, std::shared_ptr<const Safetensors> file)
      : identity_(std::move(identity)), file_(std::move(file)) {}

  std::vector<nn::Buffer> take(const std::string& key, std::span<const size_t> sizes) override;
  void keep(const std::string& key, std::vector<nn::Buffer> parts) override;

  const std::string& identity() const { return identity_; }
  // Whether something was asked of the file that it has not.
  bool unfit() const { return unfit_; }

  // What the file of the kept parts will hold, in the order of its data.
  struct Part {
    std::string name;
    nn::Buffer data;
  };
  const std::vector<Part>& parts() const { return parts_; }

 private:
  std::string identity_;
  std::shared_ptr<const Safetensors> file_;  // null: parts are kept
  bool unfit_ = false;
  std::vector<Part> parts_;
};

// $XDG_CACHE_HOME/parley, else ~/.cache/parley, where files lie that may be lost; empty when
// neither is an absolute path.
std::filesystem::path user_cache_folder();

class PackedCache {
 public:
  static constexpr uint64_t kMaxBytes = uint64_t{4} << 30;  // of all files
  // Stages that pack less are packed faster than it is worth a file.
  static constexpr uint64_t kMinBytes = uint64_t{4} << 20;

  explicit PackedCache(std::filesystem::path folder, uint64_t max_bytes = kMaxBytes,
                       uint64_t min_bytes = kMinBytes)
      : folder_(std::move(folder)), max_bytes_(max_bytes), min_bytes_(min_bytes) {}

  // $PARLEY_CACHE ("off": none), else the folder packed of user_cache_folder().
  static std::optional<PackedCache> for_user();

  const std::filesystem::path& folder() const { return folder_; }
  uint64_t bytes() const;  // that its files take
  // Empty, or why the folder is not used: others may write to it.
  std::string refusal() const;

  // To load the stage with. Nothing that is wrong with a file is an error: then it is not used.
  PackedStage open(const Stage& stage, nn::Precision precision) const;
  // The stage is loaded: writes what was kept, removes a file that does not fit. Failures change
  // nothing: the next process packs again. The least recently used files make room.
  void close(const PackedStage& packed) const noexcept;

  // Where the file with this identity lies, or would lie.
  std::filesystem::path path_of(const std::string& identity) const;

 private:
  void write(const PackedStage& packed) const;
  void make_room(uint64_t bytes) const;

  std::filesystem::path folder_;
  uint64_t max_bytes_;
  uint64_t min_bytes_;
};

// All that the packed form of a stage depends on: its digest, the size and time of its weights, the
// precision, the processor, the programs and libraries that pack.
std::string packed_identity(const Stage& stage, nn::Precision precision);

}  // namespace parley::stage
