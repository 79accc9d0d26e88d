#include "parley/cli/transcribe/resume_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "parley/cli/write_all.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"
#include "parley/text/utf8.h"

namespace parley::cli {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

ResumeJournal::ResumeJournal(const fs::path& folder, std::string recipe, bool read)
    : folder_(folder), recipe_(std::move(recipe)) {
  const fs::path path = folder / kName;
  if (read && fs::exists(path)) read_lines(path);
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw Error(path.string(), std::string("cannot write: ") + std::strerror(errno));
  // A line that a crash left unfinished must not swallow the next one.
  const off_t size = ::lseek(file_, 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(file_, &last, 1, size - 1) == 1 && last != '\n') {
    write_all(file_, "\n", path.string());
  }
}

ResumeJournal::~ResumeJournal() {
  if (file_ >= 0) ::close(file_);
}

void ResumeJournal::read_lines(const fs::path& path) {
  constexpr size_t kMaxLine = 1 << 16;
  const MappedFile file(path);
  std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.size() > kMaxLine) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const auto output = json.find("output");
    const auto made = json.find("made");
    if (output == json.end() || made == json.end()) continue;
    if (!output->is_string() || !made->is_string()) continue;
    made_[output->get<std::string>()] = made->get<std::string>();
  }
}

std::string ResumeJournal::relative(const fs::path& output) const {
  return text::replace_invalid_utf8(output.lexically_relative(folder_.lexically_normal()).string());
}

std::string ResumeJournal::key(const Job& job) const {
  if (job.input == kStandardInput) return "";
  std::error_code error;
  const fs::path path = fs::absolute(job.input).lexically_normal();
  const auto bytes = fs::file_size(path, error);
  const auto changed = fs::last_write_time(path, error);
  if (error) return "";
  stage::Sha256 digest;
  for (const std::string& part : {recipe_, path.string(), std::to_string(bytes),
                                  std::to_string(changed.time_since_epoch().count())}) {
    digest.update(part);
    digest.update(std::string_view("\0", 1));
  }
  return digest.hex();
}

bool ResumeJournal::is_done(const Job& job, const std::string& key) const {
  if (key.empty()) return false;
  return std::all_of(job.outputs.begin(), job.outputs.end(), [&](const fs::path& output) {
    const auto known = made_.find(relative(output));
    std::error_code error;
    return known != made_.end() && known->second == key && fs::is_regular_file(output, error);
  });
}

void ResumeJournal::note(const Job& job, const std::string& key) {
  if (key.empty()) return;
  std::string lines;
  for (const fs::path& output : job.outputs) {
    lines += Json{{"output", relative(output)}, {"made", key}}.dump() + '\n';
  }
  write_all(file_, lines, (folder_ / kName).string());
}

}  // namespace parley::cli
