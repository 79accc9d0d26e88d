#include "parley/convert/npy.h"

#include <charconv>
#include <cstring>
#include <string_view>

#include "parley/convert/byte_reader.h"
#include "parley/core/base/error.h"
#include "parley/core/nn/tensor.h"

namespace parley::stage {

namespace {

constexpr uint32_t kMaxHeader = 1 << 16;
constexpr size_t kMaxRank = 8;

// What follows "'key':" in the header, a Python dict: {'descr': '<f4', 'shape': (1, 512), ...}
std::string_view value_of(std::string_view header, std::string_view key, const std::string& where) {
  std::string quoted = "'";
  quoted.append(key).append("'");
  size_t at = header.find(quoted);
  if (at == std::string_view::npos) throw Error(where, "its header lacks " + quoted);
  at = header.find_first_not_of(": ", at + quoted.size());
  if (at == std::string_view::npos) throw Error(where, "its header is cut short");
  return header.substr(at);
}

std::vector<int64_t> parse_shape(std::string_view text, const std::string& where,
                                 size_t max_elements) {
  const size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos)
    throw Error(where, "its header has no shape");
  std::vector<int64_t> shape;
  uint64_t elements = 1;
  for (size_t at = 1; (at = text.find_first_not_of(", ", at)) < end;) {
    uint64_t number = 0;
    const auto [next, error] = std::from_chars(text.data() + at, text.data() + end, number);
    if (error != std::errc() || shape.size() == kMaxRank)
      throw Error(where, "its header has no shape");
    if (number > max_elements || (elements *= number) > max_elements)
      throw Error(where, "has more than " + std::to_string(max_elements) + " elements");
    shape.push_back(static_cast<int64_t>(number));
    at = static_cast<size_t>(next - text.data());
  }
  return shape;
}

float f64_to_f32(const std::byte* bytes) {
  double value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<float>(value);
}

}  // namespace

NpyArray parse_npy(std::span<const std::byte> file, const std::string& where, size_t max_elements) {
  ByteReader reader(file, where);
  if (file.size() < 10 || reader.text(6) != "\x93NUMPY") throw Error(where, "is not a .npy file");
  const auto version = reader.read<uint8_t>();
  reader.read<uint8_t>();
  if (version < 1 || version > 3) throw Error(where, "is of an unknown .npy version");
  const uint32_t length = version == 1 ? reader.read<uint16_t>() : reader.read<uint32_t>();
  if (length > kMaxHeader) throw Error(where, "has a header that is too long");
  const std::string_view header = reader.text(length);

  const std::string_view type = value_of(header, "descr", where).substr(0, 5);
  const size_t element = type == "'<f4'" ? 4 : type == "'<f8'" ? 8 : type == "'<f2'" ? 2 : 0;
  if (element == 0) throw Error(where, "is not of type f2, f4 or f8");
  NpyArray array{.shape = parse_shape(value_of(header, "shape", where), where, max_elements),
                 .values = {}};
  if (!value_of(header, "fortran_order", where).starts_with("False"))
    throw Error(where, "is in Fortran order");
  size_t elements = 1;
  for (const int64_t size : array.shape) elements *= static_cast<size_t>(size);
  const auto data = reader.take(elements * element);
  if (!reader.at_end()) throw Error(where, "has bytes after its last element");
  array.values.resize(elements);
  for (size_t i = 0; i < elements; ++i) {
    const std::byte* at = data.data() + i * element;
    uint16_t half = 0;
    if (element == 8) array.values[i] = f64_to_f32(at);
    if (element == 4) std::memcpy(&array.values[i], at, 4);
    if (element == 2) std::memcpy(&half, at, 2), array.values[i] = nn::f16_to_f32(half);
  }
  return array;
}

}  // namespace parley::stage
