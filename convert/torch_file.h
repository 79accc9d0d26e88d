// Files of torch.save() (PyTorch 1.6 and newer): a zip archive, nothing compressed, of a pickle
// (<name>/data.pkl) and the storages that it refers to (<name>/data/<key>), little-endian.
// Reference: torch/serialization.py.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "parley/convert/checkpoint.h"
#include "parley/convert/pickle.h"
#include "parley/core/base/file.h"

namespace parley::stage {

class TorchFile {
 public:
  // Throws Error naming the file and what is wrong with it.
  explicit TorchFile(const std::filesystem::path& path);
  // The same over bytes that outlive the object.
  TorchFile(std::span<const std::byte> file, const std::string& where);
  ~TorchFile();

  const std::string& where() const { return where_; }
  const Pickle& pickle() const { return *pickle_; }
  // The tensor as something to read from; it must not outlive this object. Throws Error when its
  // dtype is not f32, f16 or bf16 or its storage is missing or too short. `name` is for messages.
  std::unique_ptr<SourceTensor> tensor(const Pickle::Tensor& tensor, const std::string& name) const;

 private:
  class Archive;
  class Tensor;
  void read_pickle();

  MappedFile file_;
  std::string where_;
  std::unique_ptr<Archive> archive_;
  std::string prefix_;  // of all names in the archive, "model/"
  nn::Buffer pickle_bytes_;
  std::unique_ptr<Pickle> pickle_;
};

}  // namespace parley::stage
