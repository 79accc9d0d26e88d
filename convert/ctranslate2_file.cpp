#include "parley/convert/ctranslate2_file.h"

#include <cstring>
#include <limits>
#include <vector>

#include "parley/convert/byte_reader.h"
#include "parley/core/base/error.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

namespace {

constexpr std::array<uint64_t, 6> kElementBytes = {4, 1, 2, 4, 2, 2};  // by Ct2Type
constexpr uint32_t kOldestVersion = 2;
constexpr uint32_t kNewestVersion = 6;
constexpr uint32_t kAliasesSince = 3;
constexpr uint32_t kTypesSince = 4;  // before, a variable says only how wide its elements are
constexpr uint32_t kNewestRevision = 3;
constexpr uint32_t kMaxVariables = 1 << 14;
constexpr const char* kSpecification = "WhisperSpec";

template <typename T>
T load(std::span<const std::byte> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

constexpr float kScale16 = 1000;  // of int16 weights that have none of their own

// Rows of a variable. A quantized element is value / scale; `scales` is one f32, or has as many for
// each row.
class VariableRows : public SourceTensor {
 public:
  VariableRows(const Ct2Variable& variable, std::span<const std::byte> scales, int64_t first_row,
               int64_t rows)
      : type_(variable.type), shape_(with_rows(variable.shape, rows)), scales_(scales) {
    const auto per_row = static_cast<size_t>(variable.shape.elements() / variable.shape[0]);
    const auto first = static_cast<size_t>(first_row);
    const size_t row_bytes = per_row * kElementBytes[static_cast<size_t>(type_)];
    bytes_ = variable.bytes.subspan(first * row_bytes, static_cast<size_t>(rows) * row_bytes);
    const size_t count = scales.size() / sizeof(float);
    if (count <= 1) return;
    const size_t scales_per_row = count / static_cast<size_t>(variable.shape[0]);
    per_scale_ = per_row / scales_per_row;
    scales_ = scales.subspan(first * scales_per_row * sizeof(float),
                             static_cast<size_t>(rows) * scales_per_row * sizeof(float));
  }

  nn::Shape shape() const override { return shape_; }
  nn::DType dtype() const override {
    return type_ == Ct2Type::kF16    ? nn::DType::kF16
           : type_ == Ct2Type::kBF16 ? nn::DType::kBF16
                                     : nn::DType::kF32;
  }

  void read(int64_t first, std::span<float> out) const override {
    if (type_ == Ct2Type::kI8 || type_ == Ct2Type::kI16) {
      for (size_t i = 0; i < out.size(); ++i) {
        const auto at = static_cast<size_t>(first) + i;
        const auto value = type_ == Ct2Type::kI8 ? static_cast<float>(load<int8_t>(bytes_, at))
                                                 : static_cast<float>(load<int16_t>(bytes_, at));
        out[i] = value / (scales_.empty() ? kScale16 : load<float>(scales_, at / per_scale_));
      }
      return;
    }
    const size_t element = nn::size_of(dtype());
    nn::to_f32(bytes_.data() + static_cast<size_t>(first) * element, dtype(), out.size(),
               out.data());
  }

 private:
  static nn::Shape with_rows(const nn::Shape& shape, int64_t rows) {
    std::vector<int64_t> dims = {rows};
    for (int axis = 1; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
    return nn::Shape(dims);
  }

  Ct2Type type_;
  nn::Shape shape_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> scales_;
  size_t per_scale_ = std::numeric_limits<size_t>::max();  // elements that share a scale
};

// A length, that many bytes, the last of them zero.
std::string read_string(ByteReader& reader) {
  const std::string_view text = reader.text(reader.read<uint16_t>());
  return std::string(text.substr(0, text.find('\0')));
}

Ct2Type read_type(ByteReader& reader, uint32_t version, const std::string& where) {
  const auto type = reader.read<uint8_t>();
  if (version >= kTypesSince) {
    if (type >= kElementBytes.size())
      throw Error(where, "is of type " + std::to_string(type) + ", which is not known");
    return static_cast<Ct2Type>(type);
  }
  switch (type) {
    case 4:
      return Ct2Type::kF32;
    case 2:
      return Ct2Type::kI16;
    case 1:
      return Ct2Type::kI8;
    default:
      throw Error(where, "has elements of " + std::to_string(type) + " bytes");
  }
}

void read_variable(ByteReader& reader, uint32_t version, Ct2Variables& variables) {
  const std::string name = read_string(reader);
  const std::string where = reader.where() + ": variable '" + name + "'";
  const auto rank = reader.read<uint8_t>();
  if (rank > nn::Shape::kMaxRank) throw Error(where, "has too many dimensions");
  std::vector<int64_t> dims;
  for (int axis = 0; axis < rank; ++axis) dims.push_back(reader.read<uint32_t>());
  Ct2Variable variable;
  variable.type = read_type(reader, version, where);
  variable.shape = nn::Shape(dims);
  const uint64_t element = kElementBytes[static_cast<size_t>(variable.type)];
  const uint64_t count = reader.read<uint32_t>();
  const uint64_t bytes = version >= kTypesSince ? count : count * element;
  if (byte_size(dims, element) != bytes)
    throw Error(where, "has " + std::to_string(bytes) + " bytes, which are not " +
                           variable.shape.str() + " elements");
  variable.bytes = reader.take(bytes);
  if (!variables.emplace(name, variable).second) throw Error(where, "occurs twice");
}

// Other names of variables, and of their scales.
void read_aliases(ByteReader& reader, Ct2Variables& variables) {
  const auto count = reader.read<uint32_t>();
  for (uint32_t i = 0; i < count; ++i) {
    const std::string alias = read_string(reader);
    const std::string name = read_string(reader);
    const auto found = variables.find(name);
    if (found == variables.end())
      throw Error(reader.where(), "'" + alias + "' stands for '" + name + "', which is missing");
    if (variables.size() > 4 * kMaxVariables || !variables.emplace(alias, found->second).second)
      throw Error(reader.where(), "'" + alias + "' occurs twice, or there are too many names");
    const auto scale = variables.find(name + "_scale");
    if (scale != variables.end()) variables.emplace(alias + "_scale", scale->second);
  }
}

void check_header(ByteReader& reader, uint32_t version) {
  if (version < kOldestVersion || version > kNewestVersion) {
    throw Error(reader.where(),
                "is a model of CTranslate2 in binary version " + std::to_string(version),
                "versions 2 to 6 are known");
  }
  const std::string specification = read_string(reader);
  if (specification != kSpecification) {
    throw Error(reader.where(), "is a model of CTranslate2, but a '" + specification + "'",
                "only a WhisperSpec can be converted");
  }
  const auto revision = reader.read<uint32_t>();
  if (revision > kNewestRevision) {
    throw Error(reader.where(), "is revision " + std::to_string(revision) + " of WhisperSpec",
                "revisions up to 3 are known");
  }
}

}  // namespace

Ct2Variables read_ct2_variables(std::span<const std::byte> file, const std::string& where) {
  ByteReader reader(file, where);
  const auto version = reader.read<uint32_t>();
  check_header(reader, version);
  const auto count = reader.read<uint32_t>();
  if (count > kMaxVariables) throw Error(reader.where(), "claims to hold too many variables");
  Ct2Variables variables;
  for (uint32_t i = 0; i < count; ++i) read_variable(reader, version, variables);
  if (version >= kAliasesSince) read_aliases(reader, variables);
  if (!reader.at_end())
    throw Error(reader.where(), std::to_string(reader.remaining()) + " bytes follow its end");
  return variables;
}

bool begins_as_ct2(std::span<const std::byte> file) {
  constexpr uint32_t kAnyVersion = 1 << 10;
  ByteReader reader(file, "");
  if (reader.remaining() < sizeof(uint32_t) + sizeof(uint16_t)) return false;
  const auto version = reader.read<uint32_t>();
  const auto length = reader.read<uint16_t>();
  if (version == 0 || version > kAnyVersion || length < 2 || reader.remaining() < length)
    return false;
  return reader.text(length).substr(0, length - 1U).ends_with("Spec");
}

int64_t ct2_integer(const Ct2Variable& variable, const std::string& where) {
  switch (variable.type) {
    case Ct2Type::kI8:
      return load<int8_t>(variable.bytes, 0);
    case Ct2Type::kI16:
      return load<int16_t>(variable.bytes, 0);
    case Ct2Type::kI32:
      return load<int32_t>(variable.bytes, 0);
    default:
      throw Error(where, "is not an integer");
  }
}

std::unique_ptr<SourceTensor> ct2_rows(const Ct2Variable& variable,
                                       std::span<const std::byte> scales, int64_t first,
                                       int64_t rows) {
  return std::make_unique<VariableRows>(variable, scales, first, rows);
}

}  // namespace parley::stage
