#include "parley/cli/write_all.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"

namespace parley::cli {

void write_all(int descriptor, std::string_view bytes, const std::string& where) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      throw ClosedPipe();
    } else if (errno != EINTR) {
      throw Error(where, std::string("cannot write: ") + std::strerror(errno));
    }
  }
}

void write_named(const std::string& file, std::string_view bytes) {
  if (file == "-") return write_all(STDOUT_FILENO, bytes, "standard output");
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) {
    AtomicFile out(file);
    out.write(bytes);
    out.commit();
    return;
  }
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) throw Error(file, std::string("cannot open: ") + std::strerror(errno));
  try {
    write_all(descriptor, bytes, file);
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  if (::close(descriptor) != 0)
    throw Error(file, std::string("cannot write: ") + std::strerror(errno));
}

}  // namespace parley::cli
