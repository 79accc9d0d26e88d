// The raw log-mel of a whole recording, written once and read in any order: in an unlinked
// temporary file, since three hours of it are 350 MB.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>

#include "parley/core/nn/tensor.h"

namespace parley::pipeline {

class MelSpool {
 public:
  explicit MelSpool(int64_t n_mels);

  // frames: f32 [count, n_mels]. Throws Error when the disk is full.
  void append(const nn::Tensor& frames);
  int64_t frames() const { return frames_; }
  // Fills out [count, n_mels] with frames [begin, begin + count), which must exist.
  void read(int64_t begin, const nn::Tensor& out) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  int64_t n_mels_;
  int64_t frames_ = 0;
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace parley::pipeline
