// Safetensors files (https://github.com/huggingface/safetensors#format): an 8-byte length, a JSON
// header with each tensor's dtype, shape and byte range, then the tensors' bytes, little-endian,
// row-major, without gaps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/nn/stored_matrix.h"
#include "parley/core/nn/tensor.h"

namespace parley::stage {

// The number of elements of `shape` times `element_bytes`, or nothing when it overflows or a
// dimension is negative.
std::optional<uint64_t> byte_size(std::span<const int64_t> shape, uint64_t element_bytes);

// A file of named tensors, mapped. The header is checked completely when it is opened: its length,
// every dtype, shape and byte range; ranges may neither overlap nor leave holes. Reading is
// thread-safe; tensors stay valid as long as the object (also after it is moved).
class Safetensors {
 public:
  Safetensors() = default;
  // Throws Error naming the file and the tensor at fault.
  explicit Safetensors(const std::filesystem::path& path);
  // The same over bytes that the caller keeps alive; `where` takes the place of the path in
  // messages.
  static Safetensors from_bytes(std::span<const std::byte> file, std::string where);

  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }
  // In the order of their data in the file.
  const std::vector<std::string>& names() const { return names_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& where() const { return where_; }

  // A view of the tensor. The memory is a read-only mapping although Tensor::data is void*: writing
  // to it is a crash. Data that is not aligned for its type is copied once to memory that is.
  // Throws Error when there is no such tensor, when its dtype has no nn::DType (F64, BOOL, ...), or
  // when its shape is not the expected one.
  nn::Tensor tensor(std::string_view name) const;
  nn::Tensor tensor(std::string_view name, const nn::Shape& expected) const;

  // What the header says, without touching the data. dtype() is as in the file ("BF16").
  const nn::Shape& shape(std::string_view name) const { return entry(name).shape; }
  const std::string& dtype(std::string_view name) const { return entry(name).dtype; }
  std::span<const std::byte> bytes(std::string_view name) const { return entry(name).bytes; }

  // The pages of this tensor are not needed soon (the weights have been packed); they stay
  // readable.
  void release(const nn::Tensor& tensor) const;
  void release(const nn::StoredMatrix& matrix) const;     // of all its parts
  void release() const { file_.release(file_.bytes()); }  // of all tensors

 private:
  struct Entry {
    std::string dtype;
    nn::Shape shape;
    std::span<const std::byte> bytes;
  };
  struct AlignedCopies {
    std::mutex mutex;
    std::map<std::string, nn::Buffer, std::less<>> buffers;
  };

  void parse(std::span<const std::byte> file);
  static Entry parse_entry(const Fields& fields, std::span<const std::byte> data);
  void order_by_offset(std::span<const std::byte> data);
  const Entry& entry(std::string_view name) const;
  std::byte* aligned_data(std::string_view name, const Entry& entry, size_t alignment) const;

  MappedFile file_;
  std::string where_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> metadata_;
  std::unique_ptr<AlignedCopies> copies_;
};

struct TensorInfo {
  std::string name;
  nn::DType dtype = nn::DType::kF32;
  nn::Shape shape;

  size_t bytes() const { return static_cast<size_t>(shape.elements()) * nn::size_of(dtype); }
};

// Writes a safetensors file tensor by tensor, without ever holding it in memory. All tensors are
// declared first, then written in the order of order(); the file appears under its name at
// commit(), complete, or not at all. The same declarations and bytes make the same file. The data
// begin on a 64-byte boundary.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorInfo> tensors,
                    const std::map<std::string, std::string>& metadata = {});

  // Wider dtypes first, so that every tensor is aligned for its type; otherwise as declared.
  const std::vector<TensorInfo>& order() const { return order_; }
  // The next bytes of `name`, which must be the tensor whose turn it is. A tensor may be written in
  // several parts.
  void write(std::string_view name, std::span<const std::byte> bytes);
  // Throws Error when tensors are missing or incomplete.
  void commit();

 private:
  void skip_finished();

  std::string where_;
  AtomicFile file_;
  std::vector<TensorInfo> order_;
  size_t current_ = 0;  // index in order_
  size_t written_ = 0;  // bytes of the current tensor
};

}  // namespace parley::stage
