#include "parley/core/model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "parley/core/base/error.h"
#include "parley/core/model/json.h"

namespace parley::stage {

static_assert(std::endian::native == std::endian::little, "safetensors are mapped as they are");

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the published implementation
constexpr size_t kMaxTensors = 1 << 17;

struct FileDType {
  const char* name;
  uint64_t bytes;
  std::optional<nn::DType> dtype;  // nothing: may lie in the file but cannot be used here
};

constexpr FileDType kFileDTypes[] = {
    {"F32", 4, nn::DType::kF32},  {"F16", 2, nn::DType::kF16},  {"BF16", 2, nn::DType::kBF16},
    {"I8", 1, nn::DType::kI8},    {"U8", 1, nn::DType::kU8},    {"I32", 4, nn::DType::kI32},
    {"I64", 8, nn::DType::kI64},  {"F64", 8, std::nullopt},     {"BOOL", 1, std::nullopt},
    {"I16", 2, std::nullopt},     {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt},     {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
    {"F8_E8M0", 1, std::nullopt}, {"C64", 8, std::nullopt},
};

const FileDType* find_dtype(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFileDTypes), std::end(kFileDTypes),
                                   [&](const FileDType& type) { return name == type.name; });
  return found == std::end(kFileDTypes) ? nullptr : found;
}

const char* file_name_of(nn::DType dtype) {
  for (const FileDType& type : kFileDTypes) {
    if (type.dtype == dtype) return type.name;
  }
  return "?";
}

// The last tensor's end is where the file should end.
void refuse_cut(const nlohmann::json& header, size_t data_bytes, const std::string& where) {
  constexpr int64_t kPlausible = int64_t{1} << 44;
  int64_t needed = 0;
  for (const nlohmann::json& tensor : header) {
    int64_t end = 0;
    if (!tensor.is_object() || !tensor.contains("data_offsets")) continue;
    const nlohmann::json& offsets = tensor["data_offsets"];
    if (offsets.is_array() && offsets.size() == 2 && to_integer(offsets[1], end))
      needed = std::max(needed, end);
  }
  const auto available = static_cast<int64_t>(data_bytes);
  if (needed <= available || needed > kPlausible) return;
  throw Error(where,
              "is cut short: " + std::to_string(needed - available) + " of its " +
                  std::to_string(needed) + " bytes of weights are missing",
              "download it again");
}

}  // namespace

std::optional<uint64_t> byte_size(std::span<const int64_t> shape, uint64_t element_bytes) {
  int64_t elements = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(elements, dim, &elements)) return std::nullopt;
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(elements), element_bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

Safetensors::Safetensors(const std::filesystem::path& path)
    : file_(path), where_(path.string()), copies_(std::make_unique<AlignedCopies>()) {
  parse(file_.bytes());
}

Safetensors Safetensors::from_bytes(std::span<const std::byte> file, std::string where) {
  Safetensors result;
  result.where_ = std::move(where);
  result.copies_ = std::make_unique<AlignedCopies>();
  result.parse(file);
  return result;
}

void Safetensors::parse(std::span<const std::byte> file) {
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) throw Error(where_, "is too short for a safetensors file");
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const uint64_t available = file.size() - sizeof header_bytes;
  const bool begins_well = available > 0 && file[sizeof header_bytes] == std::byte{'{'};
  if (begins_well && header_bytes <= kMaxHeaderBytes && header_bytes > available) {
    throw Error(where_, "is cut short: at least " + std::to_string(header_bytes - available) +
                            " bytes are missing");
  }
  if (header_bytes > available || header_bytes > kMaxHeaderBytes) {
    throw Error(where_, "is not a safetensors file: its header would be " +
                            std::to_string(header_bytes) + " bytes");
  }
  const auto* text = reinterpret_cast<const char*>(file.data()) + sizeof header_bytes;
  const std::span<const std::byte> data = file.subspan(sizeof header_bytes + header_bytes);
  const nlohmann::json header =
      parse_json({text, header_bytes}, where_,
                 {.bytes = kMaxHeaderBytes, .values = 16 * kMaxTensors, .depth = 4});
  if (header.size() > kMaxTensors) throw Error(where_, "has too many tensors");
  refuse_cut(header, data.size(), where_);
  for (const auto& [name, value] : header.items()) {
    const Fields fields(value, where_ + ": tensor '" + name + "'");
    if (name == "__metadata__") {
      for (const auto& [key, unused] : value.items()) metadata_[key] = fields.string(key);
    } else {
      entries_[name] = parse_entry(fields, data);
    }
  }
  order_by_offset(data);
}

Safetensors::Entry Safetensors::parse_entry(const Fields& fields, std::span<const std::byte> data) {
  const std::string dtype = fields.string("dtype");
  const FileDType* known = find_dtype(dtype);
  if (known == nullptr) fields.refuse("dtype", "is unknown: " + dtype);
  fields.array("shape", nn::Shape::kMaxRank);
  const std::vector<int64_t> dims =
      fields.integers("shape", 0, std::numeric_limits<int64_t>::max());
  const nn::Shape shape(dims);
  const std::vector<int64_t> offsets =
      fields.integers("data_offsets", 0, static_cast<int64_t>(data.size()));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    fields.refuse("data_offsets", "must be [begin, end] inside the file");
  }
  const auto bytes =
      data.subspan(static_cast<size_t>(offsets[0]), static_cast<size_t>(offsets[1] - offsets[0]));
  if (byte_size(dims, known->bytes) != bytes.size()) {
    fields.refuse("data_offsets", "do not hold " + shape.str() + " elements of " + dtype);
  }
  return {dtype, shape, bytes};
}

// Fills names_; throws when tensors overlap or leave holes.
void Safetensors::order_by_offset(std::span<const std::byte> data) {
  std::vector<std::pair<const std::byte*, const std::byte*>> ranges;
  for (const auto& [name, entry] : entries_) {
    names_.push_back(name);
    ranges.emplace_back(entry.bytes.data(), entry.bytes.data() + entry.bytes.size());
  }
  std::stable_sort(names_.begin(), names_.end(), [&](const std::string& a, const std::string& b) {
    return entry(a).bytes.data() < entry(b).bytes.data();
  });
  std::sort(ranges.begin(), ranges.end());
  const std::byte* covered = data.data();
  for (const auto& [begin, end] : ranges) {
    if (begin != covered) {
      throw Error(where_, "tensors overlap or leave a hole at byte " +
                              std::to_string(covered - data.data()) + " of the data");
    }
    covered = end;
  }
  if (covered != data.data() + data.size()) {
    throw Error(where_, "has " + std::to_string(data.data() + data.size() - covered) +
                            " bytes that belong to no tensor");
  }
}

const Safetensors::Entry& Safetensors::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw Error(where_, "has no tensor '" + std::string(name) + "'");
  }
  return found->second;
}

nn::Tensor Safetensors::tensor(std::string_view name) const {
  const Entry& found = entry(name);
  const FileDType* type = find_dtype(found.dtype);
  if (!type->dtype) {
    throw Error(where_, "tensor '" + std::string(name) + "' is stored as " + found.dtype +
                            ", which is not supported");
  }
  return {aligned_data(name, found, type->bytes), found.shape, *type->dtype};
}

nn::Tensor Safetensors::tensor(std::string_view name, const nn::Shape& expected) const {
  const nn::Shape& actual = entry(name).shape;
  if (!(actual == expected)) {
    throw Error(where_, "tensor '" + std::string(name) + "' has shape " + actual.str() +
                            ", expected " + expected.str());
  }
  return tensor(name);
}

std::byte* Safetensors::aligned_data(std::string_view name, const Entry& entry,
                                     size_t alignment) const {
  // const_cast: Tensor has one pointer type; see the comment at tensor().
  auto* data = const_cast<std::byte*>(entry.bytes.data());
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0) return data;
  const std::lock_guard lock(copies_->mutex);
  auto copy = copies_->buffers.find(name);
  if (copy == copies_->buffers.end()) {
    copy = copies_->buffers.emplace(name, nn::Buffer(entry.bytes.size())).first;
    if (!entry.bytes.empty())
      std::memcpy(copy->second.data(), entry.bytes.data(), entry.bytes.size());
  }
  return copy->second.data();
}

void Safetensors::release(const nn::Tensor& tensor) const {
  const std::span<const std::byte> range(tensor.as<std::byte>(), tensor.bytes());
  file_.release(range);
}

void Safetensors::release(const nn::StoredMatrix& matrix) const {
  for (const nn::Tensor* part : {&matrix.data, &matrix.scale, &matrix.palette}) {
    if (*part) release(*part);
  }
}

namespace {

constexpr size_t kDataAlignment = 64;

std::string make_header(const std::string& where, const std::vector<TensorInfo>& order,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorInfo& tensor : order) {
    nlohmann::json shape = nlohmann::json::array();
    for (int axis = 0; axis < tensor.shape.rank(); ++axis) shape.push_back(tensor.shape[axis]);
    if (header.contains(tensor.name))
      throw Error(where, "tensor '" + tensor.name + "' is declared twice");
    header[tensor.name] = {{"dtype", file_name_of(tensor.dtype)},
                           {"shape", std::move(shape)},
                           {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  const size_t used = sizeof(uint64_t) + text.size();
  text.append((used + kDataAlignment - 1) / kDataAlignment * kDataAlignment - used, ' ');
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path,
                                     std::vector<TensorInfo> tensors,
                                     const std::map<std::string, std::string>& metadata)
    : where_(path.string()), file_(path), order_(std::move(tensors)) {
  std::stable_sort(order_.begin(), order_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return nn::size_of(a.dtype) > nn::size_of(b.dtype);
  });
  const std::string header = make_header(where_, order_, metadata);
  const uint64_t length = header.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(header);
  skip_finished();
}

void SafetensorsWriter::skip_finished() {
  while (current_ < order_.size() && written_ == order_[current_].bytes()) {
    ++current_;
    written_ = 0;
  }
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (current_ == order_.size() || order_[current_].name != name ||
      bytes.size() > order_[current_].bytes() - written_) {
    throw Error(where_, "tensor '" + std::string(name) +
                            "' is written out of turn, or is longer than declared");
  }
  file_.write(bytes);
  written_ += bytes.size();
  skip_finished();
}

void SafetensorsWriter::commit() {
  if (current_ != order_.size())
    throw Error(where_, "tensor '" + order_[current_].name + "' is not complete");
  file_.commit();
}

}  // namespace parley::stage
