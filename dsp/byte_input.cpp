#include "parley/dsp/byte_input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "parley/core/base/error.h"

namespace parley::dsp {

namespace {

int open_unlinked_file(const std::string& for_whom) {
  const char* folder = std::getenv("TMPDIR");
  std::string path =
      std::string(folder != nullptr && *folder != 0 ? folder : "/tmp") + "/parley.XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) {
    throw Error(for_whom, "cannot create a temporary file " + path + ": " + std::strerror(errno),
                "set TMPDIR to a folder that can be written");
  }
  ::unlink(path.c_str());
  return descriptor;
}

void write_all(int descriptor, const char* data, size_t count, const std::string& for_whom) {
  while (count > 0) {
    const ssize_t written = ::write(descriptor, data, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      throw Error(for_whom, std::string("cannot write the temporary copy: ") + std::strerror(errno),
                  "set TMPDIR to a folder with more space");
    }
    data += written;
    count -= static_cast<size_t>(written);
  }
}

}  // namespace

ByteInput::ByteInput(int descriptor, bool owned, std::string name)
    : descriptor_(descriptor), owned_(owned), name_(std::move(name)) {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0)
    throw Error(name_, std::string("cannot read: ") + std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw Error(name_, "is a folder", "give a file");
  if (S_ISBLK(status.st_mode)) throw Error(name_, "is a device");
  is_stream_ = !S_ISREG(status.st_mode);
  if (is_stream_) {
    size_ = kUnknownSize;
  } else {
    base_ = std::max<int64_t>(0, ::lseek(descriptor_, 0, SEEK_CUR));
    size_ = std::max<int64_t>(0, status.st_size - base_);
  }
}

ByteInput::~ByteInput() {
  if (owned_) ::close(descriptor_);
}

size_t ByteInput::read_descriptor(void* out, size_t count, int64_t at) {
  size_t done = 0;
  while (done < count) {
    char* to = static_cast<char*>(out) + done;
    const ssize_t got = is_stream_ ? ::read(descriptor_, to, count - done)
                                   : ::pread(descriptor_, to, count - done,
                                             base_ + at + static_cast<int64_t>(done));
    if (got == 0) break;
    if (got > 0) {
      done += static_cast<size_t>(got);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd ready{descriptor_, POLLIN, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      throw Error(name_, std::string("cannot read: ") + std::strerror(errno));
    }
  }
  return done;
}

size_t ByteInput::read(void* out, size_t count) {
  if (position_ < 0) return 0;
  char* to = static_cast<char*>(out);
  size_t done = 0;
  if (is_stream_) {  // what the head holds comes from there
    const size_t at = std::min(static_cast<size_t>(position_), head_.size());
    done = std::min(count, head_.size() - at);
    std::copy_n(head_.data() + at, done, to);
  }
  const int64_t at = position_ + static_cast<int64_t>(done);
  if (done < count && (!is_stream_ || at == consumed_)) {
    const size_t got = read_descriptor(to + done, count - done, at);
    if (is_stream_) {
      if (consumed_ == static_cast<int64_t>(head_.size())) {
        const size_t room = kHead - head_.size();
        head_.insert(head_.end(), to + done, to + done + std::min(got, room));
      }
      consumed_ += static_cast<int64_t>(got);
    }
    done += got;
  }
  position_ += static_cast<int64_t>(done);
  return done;
}

std::string_view ByteInput::head(size_t count) {
  count = std::min(count, kHead);
  if (head_.size() < count) {
    if (is_stream_) {
      if (consumed_ == static_cast<int64_t>(head_.size())) {
        const size_t before = head_.size();
        head_.resize(count);
        head_.resize(before + read_descriptor(head_.data() + before, count - before, 0));
        consumed_ = static_cast<int64_t>(head_.size());
      }
    } else {
      head_.resize(count);
      head_.resize(read_descriptor(head_.data(), count, 0));
    }
  }
  return {head_.data(), std::min(count, head_.size())};
}

void ByteInput::spool() {
  if (!is_stream_) return;
  if (consumed_ != static_cast<int64_t>(head_.size())) {
    throw Error(name_, "is in a format that cannot be read from a stream", "give it as a file");
  }
  const int copy = open_unlinked_file(name_);
  try {
    write_all(copy, head_.data(), head_.size(), name_);
    size_ = static_cast<int64_t>(head_.size());
    std::vector<char> block(1 << 18);
    while (const size_t got = read_descriptor(block.data(), block.size(), 0)) {
      write_all(copy, block.data(), got, name_);
      size_ += static_cast<int64_t>(got);
    }
  } catch (...) {
    ::close(copy);
    throw;
  }
  if (owned_) ::close(descriptor_);
  descriptor_ = copy;
  owned_ = true;
  is_stream_ = false;
  base_ = 0;
  position_ = 0;
}

}  // namespace parley::dsp
