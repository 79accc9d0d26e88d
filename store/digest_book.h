// What pull knows of files whose digests no public source states: {"URL": {"bytes", "sha256"}}.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "parley/store/download.h"

namespace parley::store {

class DigestBook {
 public:
  // Empty when there is no such file. Throws Error when it is damaged.
  explicit DigestBook(std::filesystem::path file);

  // Null when nothing is known.
  const Downloaded* find(const std::string& url) const;
  // Written at once.
  void record(const std::string& url, const Downloaded& file);
  void record_all(const DigestBook& other);

 private:
  void write() const;

  std::filesystem::path file_;
  std::map<std::string, Downloaded> entries_;
};

}  // namespace parley::store
