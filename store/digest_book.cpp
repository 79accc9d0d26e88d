#include "parley/store/digest_book.h"

#include <utility>

#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/model/manifest.h"

namespace parley::store {

DigestBook::DigestBook(std::filesystem::path file) : file_(std::move(file)) {
  std::error_code error;
  if (!std::filesystem::exists(file_, error)) return;
  const nlohmann::json json = stage::read_json(file_);
  for (const auto& [url, value] : json.items()) {
    const stage::Fields fields(value, file_.string() + ": '" + url + "'");
    Downloaded entry{static_cast<uint64_t>(fields.integer("bytes")), fields.string("sha256")};
    if (!stage::is_sha256(entry.sha256)) fields.refuse("sha256", "must be 64 hexadecimal digits");
    entries_[url] = std::move(entry);
  }
}

const Downloaded* DigestBook::find(const std::string& url) const {
  const auto found = entries_.find(url);
  return found == entries_.end() ? nullptr : &found->second;
}

void DigestBook::record(const std::string& url, const Downloaded& file) {
  entries_[url] = file;
  write();
}

void DigestBook::record_all(const DigestBook& other) {
  if (other.entries_.empty()) return;
  for (const auto& [url, file] : other.entries_) entries_[url] = file;
  write();
}

void DigestBook::write() const {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [url, file] : entries_)
    json[url] = {{"bytes", file.bytes}, {"sha256", file.sha256}};
  AtomicFile file(file_);
  file.write(json.dump(2) + "\n");
  file.commit();
}

}  // namespace parley::store
