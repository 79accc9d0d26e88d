#include "parley/pipeline/stt/mel_spool.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "parley/core/base/error.h"

namespace parley::pipeline {

namespace {

[[noreturn]] void fail(const char* doing) {
  throw Error("temporary file", std::string(doing) + ": " + std::strerror(errno),
              errno == ENOSPC ? "free space in the folder for temporary files" : "");
}

}  // namespace

MelSpool::MelSpool(int64_t n_mels) : n_mels_(n_mels), file_(std::tmpfile()) {
  if (!file_) fail("cannot create");
}

void MelSpool::append(const nn::Tensor& frames) {
  if (fseeko(file_.get(), 0, SEEK_END) != 0 ||
      std::fwrite(frames.data, 1, frames.bytes(), file_.get()) != frames.bytes())
    fail("cannot write");
  frames_ += frames.rows();
}

void MelSpool::read(int64_t begin, const nn::Tensor& out) const {
  const auto offset = static_cast<off_t>(begin * n_mels_ * static_cast<int64_t>(sizeof(float)));
  if (fseeko(file_.get(), offset, SEEK_SET) != 0 ||
      std::fread(out.data, 1, out.bytes(), file_.get()) != out.bytes())
    fail("cannot read");
}

}  // namespace parley::pipeline
