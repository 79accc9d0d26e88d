// Tensors: views of memory that somebody else owns, and the aligned memory itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parley::nn {

enum class DType : uint8_t { kF32, kF16, kBF16, kI8, kU8, kI32, kI64 };

// Bytes of one element.
size_t size_of(DType dtype);
// "f32", "f16", "bf16", "i8", "u8", "i32", "i64".
std::string_view name_of(DType dtype);

// Dimensions, outermost first. At most four.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[axis < 0 ? rank_ + axis : axis]; }
  int64_t elements() const;  // product of the dimensions; 1 for rank 0
  std::string str() const;   // "[1500, 384]"
  bool operator==(const Shape& other) const;

 private:
  int64_t dims_[kMaxRank] = {};
  int rank_ = 0;
};

// A non-owning view. Elements of a row (the last axis) are adjacent; rows are `row_stride` elements
// apart: by default the row's length. A smaller stride makes rows overlap, which is how a
// convolution reads its input (core/nn/convolution.h).
struct Tensor {
  void* data = nullptr;
  Shape shape;
  DType dtype = DType::kF32;
  int64_t row_stride = 0;

  Tensor() = default;
  Tensor(void* memory, const Shape& dims, DType type)
      : data(memory), shape(dims), dtype(type), row_stride(dims.rank() ? dims[-1] : 1) {}
  Tensor(void* memory, const Shape& dims, DType type, int64_t stride)
      : data(memory), shape(dims), dtype(type), row_stride(stride) {}

  explicit operator bool() const { return data != nullptr; }
  int64_t cols() const { return shape.rank() ? shape[-1] : 1; }
  int64_t rows() const { return cols() ? shape.elements() / cols() : 0; }
  bool contiguous() const { return row_stride == cols() || rows() <= 1; }
  size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }

  // The elements as T; T must have the size of the dtype (checked in debug builds).
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  float* f32() const { return static_cast<float*>(data); }
  float* row(int64_t index) const { return f32() + index * row_stride; }  // f32 only

  // Rows [begin, begin + count) of a matrix.
  Tensor slice_rows(int64_t begin, int64_t count) const;
};

// Memory aligned to 64 bytes (a cache line, an AVX-512 register), zeroed; in huge pages where it is
// large. Movable.
class Buffer {
 public:
  static constexpr size_t kAlignment = 64;

  Buffer() = default;
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;
  explicit Buffer(size_t bytes);
  static Buffer uninitialized(size_t bytes);
  // Somebody else's memory, aligned so, which lives as long as `keeper`: not to be written to.
  static Buffer view(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper);
  // The same memory once more; it lives as long as one of them.
  Buffer share() const;

  std::byte* data() const { return data_.get(); }
  std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
  size_t size() const { return size_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  std::shared_ptr<std::byte> data_;
  size_t size_ = 0;
};

// 16-bit floats. bf16 rounds to nearest even; f16 follows IEEE 754 (subnormals kept, overflow to
// infinity).
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
inline float bf16_to_f32(uint16_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  __builtin_memcpy(&value, &word, sizeof value);
  return value;
}
uint16_t f32_to_bf16(float value);
// Converts any floating-point elements to f32, `count` of them. The source may lie at any address:
// files do not align what they hold.
void to_f32(const void* source, DType dtype, size_t count, float* out);

}  // namespace parley::nn
