#include "parley/core/nn/tensor.h"

#include <sys/mman.h>

#include <bit>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace parley::nn {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kI8:
    case DType::kU8:
      return 1;
    case DType::kI64:
      return 8;
  }
  return 0;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kF16:
      return "f16";
    case DType::kBF16:
      return "bf16";
    case DType::kI8:
      return "i8";
    case DType::kU8:
      return "u8";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
  }
  return "?";
}

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  assert(dims.size() <= kMaxRank);
  for (int axis = 0; axis < rank_; ++axis) dims_[axis] = dims[axis];
}

int64_t Shape::elements() const {
  int64_t count = 1;
  for (int axis = 0; axis < rank_; ++axis) count *= dims_[axis];
  return count;
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) text += (axis ? ", " : "") + std::to_string(dims_[axis]);
  return text + "]";
}

bool Shape::operator==(const Shape& other) const {
  if (rank_ != other.rank_) return false;
  for (int axis = 0; axis < rank_; ++axis) {
    if (dims_[axis] != other.dims_[axis]) return false;
  }
  return true;
}

Tensor Tensor::slice_rows(int64_t begin, int64_t count) const {
  assert(shape.rank() == 2 && begin >= 0 && begin + count <= shape[0]);
  return {as<std::byte>() + begin * row_stride * static_cast<int64_t>(size_of(dtype)),
          {count, shape[1]},
          dtype,
          row_stride};
}

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// Zeroed pages straight from the system and back to it, whatever the heap would keep of them. Huge:
// fewer faults while a model is loaded, fewer misses of the address cache after that.
std::shared_ptr<std::byte> map_pages(size_t bytes) {
  const size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const memory = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(memory);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  std::byte* const pages = begin + before;
  if (before > 0) ::munmap(begin, before);
  if (before < kHugePage) ::munmap(pages + size, kHugePage - before);
  ::madvise(pages, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return {pages, [size](std::byte* mapped) { ::munmap(mapped, size); }};
}

}  // namespace

Buffer::Buffer(size_t bytes) : Buffer(uninitialized(bytes)) {
  if (bytes != 0 && bytes < kHugePage) std::memset(data_.get(), 0, bytes);
}

Buffer Buffer::uninitialized(size_t bytes) {
  Buffer buffer;
  buffer.size_ = bytes;
  if (bytes == 0) return buffer;
  if (bytes > std::numeric_limits<size_t>::max() / 2) throw std::bad_alloc();
  if (bytes >= kHugePage) {
    buffer.data_ = map_pages(bytes);
    return buffer;
  }
  void* const memory =
      std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (memory == nullptr) throw std::bad_alloc();
  buffer.data_ = {static_cast<std::byte*>(memory), [](std::byte* pointer) { std::free(pointer); }};
  return buffer;
}

Buffer Buffer::view(std::span<const std::byte> bytes, std::shared_ptr<const void> keeper) {
  assert(reinterpret_cast<uintptr_t>(bytes.data()) % kAlignment == 0);
  Buffer buffer;
  buffer.size_ = bytes.size();
  buffer.data_ = {std::move(keeper), const_cast<std::byte*>(bytes.data())};
  return buffer;
}

Buffer Buffer::share() const { return view(bytes(), data_); }

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 31;
  const uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -magnitude : magnitude;
  }
  const uint32_t exponent32 = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | exponent32 << 23 | fraction << 13);
}

uint16_t f32_to_f16(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((word >> 16) & 0x8000);
  const uint32_t magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to infinity
  if (magnitude <
      0x38800000) {  // subnormal: adding 0.5 leaves the rounded fraction in the low bits
    return sign | static_cast<uint16_t>(
                      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000);
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | static_cast<uint16_t>((rounded - 0x38000000) >> 13);
}

uint16_t f32_to_bf16(float value) {
  const auto word = std::bit_cast<uint32_t>(value);
  if ((word & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((word >> 16) | 0x40);  // keep NaN quiet
  return static_cast<uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

void to_f32(const void* source, DType dtype, size_t count, float* out) {
  const auto* bytes = static_cast<const std::byte*>(source);
  const auto half = [bytes](size_t i) {
    uint16_t bits;
    std::memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
    return bits;
  };
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, source, count * sizeof(float));
      return;
    case DType::kF16:
      for (size_t i = 0; i < count; ++i) out[i] = f16_to_f32(half(i));
      return;
    case DType::kBF16:
      for (size_t i = 0; i < count; ++i) out[i] = bf16_to_f32(half(i));
      return;
    default:
      assert(!"to_f32 takes floating-point elements");
  }
}

}  // namespace parley::nn
