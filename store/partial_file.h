// What has come of a download so far.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "parley/core/model/digest.h"

namespace parley::store {

// <file>.part and, to ask a server for the rest of just this version, its validator (an ETag or a
// date) in <file>.part.version. Kept when the object dies before commit().
class PartialFile {
 public:
  // Opens what is there, or begins; a part longer than max_bytes, or one that nothing vouches for
  // (no validator, and the digest is not known), is begun anew.
  PartialFile(std::filesystem::path file, uint64_t max_bytes, bool digest_known);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  uint64_t bytes() const { return bytes_; }
  const std::string& validator() const { return validator_; }
  bool in_pieces() const { return in_pieces_; }  // began with what an earlier attempt had left

  void append(std::span<const std::byte> data);
  void restart(const std::string& validator);  // empty again, of this version
  void resume() { in_pieces_ = true; }
  std::string sha256();  // of all; ends what can be appended
  void commit();         // flushes, renames to <file>
  void discard();        // removes it

 private:
  explicit PartialFile(std::filesystem::path file);  // opens it
  void hash_existing();
  [[noreturn]] void fail(const char* doing) const;

  std::filesystem::path file_;
  std::filesystem::path part_;
  std::filesystem::path version_;
  int descriptor_ = -1;
  uint64_t bytes_ = 0;
  bool in_pieces_ = false;
  std::string validator_;
  std::optional<stage::Sha256> digest_;
};

}  // namespace parley::store
