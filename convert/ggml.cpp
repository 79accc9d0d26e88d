#include "parley/convert/ggml.h"

#include <algorithm>
#include <array>

#include "parley/convert/byte_reader.h"
#include "parley/convert/whisper_names.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

namespace {

constexpr uint32_t kMagic = 0x67676d6c;
constexpr uint32_t kMaxTensorName = 256;
constexpr uint32_t kMaxTokenBytes = 4096;
constexpr size_t kMaxTensors = 1 << 14;
constexpr int kQuantizationVersion =
    2;  // ggml's GGML_QNT_VERSION: the block layouts of ggml_blocks.cpp
constexpr int kQuantizationFactor = 1000;

class GgmlTensor : public SourceTensor {
 public:
  GgmlTensor(GgmlType type, GgmlBlock block, nn::Shape shape, std::span<const std::byte> bytes)
      : type_(type), block_(block), shape_(shape), bytes_(bytes) {}

  nn::Shape shape() const override { return shape_; }
  nn::DType dtype() const override {
    return type_ == GgmlType::kF16    ? nn::DType::kF16
           : type_ == GgmlType::kBF16 ? nn::DType::kBF16
                                      : nn::DType::kF32;
  }
  void read(int64_t first, std::span<float> out) const override {
    const auto begin = static_cast<size_t>(first / block_.elements) * block_.bytes;
    const auto size = out.size() / static_cast<size_t>(block_.elements) * block_.bytes;
    dequantize(type_, bytes_.subspan(begin, size), out);
  }

 private:
  GgmlType type_;
  GgmlBlock block_;
  nn::Shape shape_;
  std::span<const std::byte> bytes_;
};

// Returns the file's ftype, which says how most tensors are stored.
int32_t read_header(ByteReader& reader, WhisperDims& dims) {
  if (reader.read<uint32_t>() != kMagic)
    throw Error(reader.where(), "is not a whisper.cpp ggml file");
  dims.vocab_size = reader.read<int32_t>();
  dims.max_source_positions = reader.read<int32_t>();
  dims.d_model = reader.read<int32_t>();
  dims.encoder_attention_heads = reader.read<int32_t>();
  dims.encoder_layers = reader.read<int32_t>();
  dims.max_target_positions = reader.read<int32_t>();
  const int32_t text_state = reader.read<int32_t>();
  dims.decoder_attention_heads = reader.read<int32_t>();
  dims.decoder_layers = reader.read<int32_t>();
  dims.num_mel_bins = reader.read<int32_t>();
  dims.encoder_ffn_dim = 4 * dims.d_model;
  dims.decoder_ffn_dim = 4 * dims.d_model;
  check_dims(dims, reader.where());
  if (text_state != dims.d_model)
    throw Error(reader.where(), "encoder and decoder differ in width");
  return reader.read<int32_t>();
}

void check_quantization_version(int32_t ftype, const std::string& where) {
  const bool quantized = ftype % kQuantizationFactor > static_cast<int32_t>(GgmlType::kF16);
  if (quantized && ftype / kQuantizationFactor != kQuantizationVersion) {
    throw Error(where,
                "was quantized in version " + std::to_string(ftype / kQuantizationFactor) +
                    " of ggml's format, not version " + std::to_string(kQuantizationVersion),
                "quantize it again with a current whisper.cpp");
  }
}

// The filters are a function of n_mels (ALGORITHMS: Slaney), so they are only stepped over.
void skip_mel_filters(ByteReader& reader, int64_t n_mels) {
  const int32_t mels = reader.read<int32_t>();
  const int32_t bins = reader.read<int32_t>();
  if (mels != n_mels || bins < 1 || bins > (1 << 16))
    throw Error(reader.where(), "has mel filters of a wrong size");
  reader.take(static_cast<uint64_t>(mels) * static_cast<uint64_t>(bins) * sizeof(float));
}

std::vector<std::string> read_vocabulary(ByteReader& reader, int64_t vocab_size) {
  const int32_t count = reader.read<int32_t>();
  if (count < 1 || count > vocab_size)
    throw Error(reader.where(), "has a vocabulary of a wrong size");
  std::vector<std::string> tokens;
  for (int32_t i = 0; i < count; ++i) {
    const auto length = reader.read<uint32_t>();
    if (length > kMaxTokenBytes) throw Error(reader.where(), "has a token that is too long");
    tokens.emplace_back(reader.text(length));
  }
  return tokens;
}

// Dimensions lie innermost first; converters squeeze tensors and store convolution biases as [n,
// 1].
nn::Shape read_shape(ByteReader& reader, int32_t rank, const std::string& where) {
  if (rank < 0 || rank > nn::Shape::kMaxRank)
    throw Error(where, "has a wrong number of dimensions");
  std::array<int64_t, nn::Shape::kMaxRank> dims{};
  for (int axis = rank - 1; axis >= 0; --axis) dims[axis] = reader.read<int32_t>();
  return nn::Shape(std::span<const int64_t>(dims.data(), rank));
}

void read_tensor(ByteReader& reader, WhisperCheckpoint& checkpoint) {
  const int32_t rank = reader.read<int32_t>();
  const auto name_length = reader.read<uint32_t>();
  const int32_t type = reader.read<int32_t>();
  nn::Shape shape = read_shape(reader, rank, reader.where());
  if (name_length > kMaxTensorName)
    throw Error(reader.where(), "has a tensor name that is too long");
  const std::string theirs(reader.text(name_length));
  const std::string where = reader.where() + ": tensor '" + theirs + "'";
  const GgmlBlock block = ggml_block(type, where);
  const std::optional<std::string> name = name_from_openai(theirs);
  if (!name) throw Error(where, "is not a tensor of Whisper");

  std::vector<int64_t> dims;
  for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
  const int64_t row = dims.empty() ? 1 : dims.back();
  const std::optional<uint64_t> size = byte_size(dims, block.bytes);
  if (!size || row % block.elements != 0)
    throw Error(where, "has an impossible shape: " + shape.str());
  const auto bytes = reader.take(*size / static_cast<uint64_t>(block.elements));
  if (name->ends_with(".bias") && shape.rank() == 2 && shape[1] == 1) shape = {shape[0]};
  const bool added =
      checkpoint.tensors.emplace(*name, make_ggml_tensor(static_cast<GgmlType>(type), shape, bytes))
          .second;
  if (!added || checkpoint.tensors.size() > kMaxTensors)
    throw Error(where, "occurs twice, or there are too many tensors");
}

}  // namespace

std::unique_ptr<SourceTensor> make_ggml_tensor(GgmlType type, const nn::Shape& shape,
                                               std::span<const std::byte> bytes) {
  return std::make_unique<GgmlTensor>(type, ggml_block(static_cast<int32_t>(type), ""), shape,
                                      bytes);
}

WhisperCheckpoint parse_ggml(std::span<const std::byte> file, const std::string& where) {
  WhisperCheckpoint checkpoint;
  checkpoint.where = where;
  checkpoint.format = "ggml";
  ByteReader reader(file, where);
  check_quantization_version(read_header(reader, checkpoint.dims), where);
  skip_mel_filters(reader, checkpoint.dims.num_mel_bins);
  checkpoint.vocabulary = read_vocabulary(reader, checkpoint.dims.vocab_size);
  while (!reader.at_end()) read_tensor(reader, checkpoint);
  return checkpoint;
}

WhisperCheckpoint open_ggml(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  WhisperCheckpoint checkpoint = parse_ggml(file->bytes(), path.string());
  checkpoint.storage = file;
  checkpoint.files = {path};
  return checkpoint;
}

}  // namespace parley::stage
