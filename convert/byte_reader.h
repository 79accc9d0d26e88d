// Reads little-endian values and runs of bytes from memory, never past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "parley/core/base/error.h"

namespace parley::stage {

class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return remaining() == 0; }
  const std::string& where() const { return where_; }

  // The next `count` bytes. Throws Error when there are fewer.
  std::span<const std::byte> take(uint64_t count) {
    if (count > remaining()) refuse_cut(count - remaining());
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  std::string_view text(uint64_t count) {
    const auto taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  template <typename T>
  T read() {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

 private:
  [[noreturn]] void refuse_cut(uint64_t missing) const {
    constexpr uint64_t kPlausible = uint64_t{1} << 40;
    throw Error(where_, missing < kPlausible ? "is cut short: at least " + std::to_string(missing) +
                                                   " bytes are missing"
                                             : "is cut short or damaged");
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  size_t position_ = 0;
};

}  // namespace parley::stage
