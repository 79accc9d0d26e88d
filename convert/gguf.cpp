#include "parley/convert/gguf.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "parley/convert/byte_reader.h"
#include "parley/convert/ggml.h"
#include "parley/convert/whisper_names.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/safetensors.h"
#include "parley/text/tokenizer/vocabulary.h"

namespace parley::stage {

namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxTensors = 1 << 14;
constexpr uint64_t kMaxEntries = 1 << 14;
constexpr uint64_t kMaxName = 256;
constexpr uint64_t kMaxAlignment = 1 << 16;
constexpr uint64_t kMaxListed = text::kMaxVocabularySize;
// transcribe.cpp's are the second ones.
constexpr std::string_view kHeadCounts[] = {"whisper.encoder.attention.head_count",
                                            "stt.whisper.encoder.n_heads"};

// Metadata that is looked at.
struct Metadata {
  uint64_t alignment = 32;
  std::optional<uint64_t> heads;
  std::string architecture;
  std::map<std::string, std::vector<std::string>> strings;  // of lists
  std::map<std::string, std::vector<int64_t>> integers;
};

std::string read_name(ByteReader& reader) {
  const auto length = reader.read<uint64_t>();
  if (length > kMaxName) throw Error(reader.where(), "has a name that is too long");
  return std::string(reader.text(length));
}

// Bytes of a value of a fixed size; 0 for strings and arrays.
uint64_t value_size(uint32_t type, const std::string& where) {
  constexpr std::array<uint64_t, 13> kSizes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  if (type >= kSizes.size()) throw Error(where, "has metadata of an unknown type");
  return kSizes[type];
}

constexpr uint32_t kI32 = 5;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;

// Lists of transcribe.cpp's files: its tokenizer, and what generation_config.json calls the same.
constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
constexpr std::string_view kMerges = "tokenizer.ggml.merges";
constexpr std::pair<std::string_view, const char*> kTokenLists[] = {
    {"stt.whisper.suppress_tokens", "suppress_tokens"},
    {"stt.whisper.begin_suppress_tokens", "begin_suppress_tokens"}};

void skip_string(ByteReader& reader) { reader.take(reader.read<uint64_t>()); }

void skip_array(ByteReader& reader) {
  const auto type = reader.read<uint32_t>();
  const auto count = reader.read<uint64_t>();
  const uint64_t size = value_size(type, reader.where());
  uint64_t bytes = 0;
  if (type == kArray) throw Error(reader.where(), "has metadata with arrays of arrays");
  if (type != kString) {
    if (__builtin_mul_overflow(count, size, &bytes))
      throw Error(reader.where(), "has metadata that is too large");
    reader.take(bytes);
    return;
  }
  // Each string takes at least its length's bytes, so that `count` ends with the file.
  for (uint64_t i = 0; i < count; ++i) skip_string(reader);
}

// A list of strings or of 32-bit integers is kept; others are stepped over.
void read_array(ByteReader& reader, const std::string& key, Metadata& metadata) {
  ByteReader ahead = reader;
  const auto type = ahead.read<uint32_t>();
  const auto count = ahead.read<uint64_t>();
  if (count > kMaxListed || (type != kString && type != kI32)) return skip_array(reader);
  reader = ahead;
  if (type == kString) {
    std::vector<std::string>& strings = metadata.strings[key];
    for (uint64_t i = 0; i < count; ++i) strings.emplace_back(reader.text(reader.read<uint64_t>()));
  } else {
    std::vector<int64_t>& integers = metadata.integers[key];
    for (uint64_t i = 0; i < count; ++i) integers.push_back(reader.read<int32_t>());
  }
}

// An integer of 32 or 64 bits; nothing for other types, which are stepped over.
std::optional<uint64_t> read_value(ByteReader& reader, uint32_t type) {
  const uint64_t size = value_size(type, reader.where());
  if (type == kString) {
    skip_string(reader);
  } else if (type == kArray) {
    skip_array(reader);
  } else if (type == 4 || type == 5) {
    return reader.read<uint32_t>();
  } else if (type == 10 || type == 11) {
    return reader.read<uint64_t>();
  } else {
    reader.take(size);
  }
  return std::nullopt;
}

Metadata read_metadata(ByteReader& reader, uint64_t count) {
  Metadata metadata;
  for (uint64_t i = 0; i < count; ++i) {
    const std::string key = read_name(reader);
    const auto type = reader.read<uint32_t>();
    if (key == "general.architecture" && type == kString) {
      metadata.architecture = read_name(reader);
      continue;
    }
    const bool kept = key == kTokens || key == kMerges || key.starts_with("stt.whisper.");
    if (type == kArray && kept) {
      read_array(reader, key, metadata);
      continue;
    }
    const std::optional<uint64_t> value = read_value(reader, type);
    if (std::ranges::count(kHeadCounts, key) > 0) metadata.heads = value;
    if (key == "general.alignment" && value) metadata.alignment = *value;
  }
  const bool power =
      metadata.alignment != 0 && (metadata.alignment & (metadata.alignment - 1)) == 0;
  if (!power || metadata.alignment > kMaxAlignment)
    throw Error(reader.where(), "has an impossible alignment");
  return metadata;
}

struct TensorHeader {
  std::string name;
  nn::Shape shape;
  int32_t type;
  uint64_t offset;
};

TensorHeader read_tensor_header(ByteReader& reader) {
  TensorHeader header;
  header.name = read_name(reader);
  const auto rank = reader.read<uint32_t>();
  if (rank < 1 || rank > nn::Shape::kMaxRank)
    throw Error(reader.where(), "tensor '" + header.name + "' has a wrong number of dimensions");
  std::array<int64_t, nn::Shape::kMaxRank> dims{};  // innermost first in the file
  for (uint32_t axis = rank; axis-- > 0;) {
    const auto dim = reader.read<uint64_t>();
    if (dim < 1 || dim > uint64_t{1} << 40)
      throw Error(reader.where(), "tensor '" + header.name + "' has an impossible shape");
    dims[axis] = static_cast<int64_t>(dim);
  }
  header.shape = nn::Shape(std::span<const int64_t>(dims.data(), rank));
  header.type = reader.read<int32_t>();
  header.offset = reader.read<uint64_t>();
  return header;
}

// Our name; nothing for what a Whisper does without (the tied output, filters, window).
std::optional<std::string> our_name(const std::string& theirs, const std::string& where) {
  std::string name = theirs.starts_with("model.") ? theirs.substr(6) : theirs;
  if (name == "proj_out.weight" || name.find("mel_filters") != std::string::npos ||
      name.starts_with("frontend."))
    return std::nullopt;
  if (auto openai = name_from_openai(name)) return openai;
  if (auto ours = name_from_transcribe_cpp(name)) return ours;
  if (name.starts_with("encoder.") || name.starts_with("decoder.")) return name;
  throw Error(where, "tensor '" + theirs + "' is not one of Whisper's");
}

uint64_t bytes_of(const TensorHeader& header, const std::string& where) {
  const GgmlBlock block = ggml_block(header.type, where);
  std::vector<int64_t> dims;
  for (int axis = 0; axis < header.shape.rank(); ++axis) dims.push_back(header.shape[axis]);
  const std::optional<uint64_t> size = byte_size(dims, block.bytes);
  if (!size || dims.back() % block.elements != 0)
    throw Error(where, "has an impossible shape: " + header.shape.str());
  return *size / static_cast<uint64_t>(block.elements);
}

// The file's end is that of its last tensor.
void refuse_cut(const std::vector<TensorHeader>& headers, uint64_t available,
                const std::string& where) {
  constexpr uint64_t kPlausible = uint64_t{1} << 44;
  uint64_t needed = 0;
  for (const TensorHeader& header : headers) {
    const uint64_t bytes = bytes_of(header, where + ": tensor '" + header.name + "'");
    if (header.offset < kPlausible && bytes < kPlausible)
      needed = std::max(needed, header.offset + bytes);
  }
  if (needed <= available) return;
  throw Error(where,
              "is cut short: " + std::to_string(needed - available) + " of its " +
                  std::to_string(needed) + " bytes of weights are missing",
              "download it again");
}

void add_tensor(WhisperCheckpoint& checkpoint, const TensorHeader& header,
                std::span<const std::byte> data) {
  const std::string where = checkpoint.where + ": tensor '" + header.name + "'";
  const auto name = our_name(header.name, checkpoint.where);
  if (!name) return;
  const uint64_t bytes = bytes_of(header, where);
  if (header.offset > data.size() || bytes > data.size() - header.offset)
    throw Error(where, "lies beyond the end of the file");
  nn::Shape shape = header.shape;
  if (name->ends_with(".bias")) shape = {shape.elements()};  // convolutions': [1, n]
  auto tensor = make_ggml_tensor(static_cast<GgmlType>(header.type), shape,
                                 data.subspan(header.offset, bytes));
  if (!checkpoint.tensors.emplace(*name, std::move(tensor)).second)
    throw Error(where, "occurs twice");
}

nn::Shape shape_of(const WhisperCheckpoint& checkpoint, const std::string& name, int rank) {
  const auto found = checkpoint.tensors.find(name);
  if (found == checkpoint.tensors.end())
    throw Error(checkpoint.where, "lacks the tensor '" + name + "'");
  const nn::Shape shape = found->second->shape();
  if (shape.rank() != rank)
    throw Error(checkpoint.where, "tensor '" + name + "' has shape " + shape.str());
  return shape;
}

int64_t count_layers(const WhisperCheckpoint& checkpoint, const std::string& stage) {
  int64_t layers = 0;
  while (checkpoint.tensors.contains(stage + ".layers." + std::to_string(layers) + ".fc1.weight"))
    ++layers;
  return layers;
}

WhisperDims infer_dims(const WhisperCheckpoint& checkpoint, std::optional<uint64_t> heads) {
  const nn::Shape conv = shape_of(checkpoint, "encoder.conv1.weight", 3);
  const auto first = [&](const std::string& name) { return shape_of(checkpoint, name, 2)[0]; };
  WhisperDims dims;
  dims.d_model = conv[0];
  dims.num_mel_bins = conv[1];
  dims.vocab_size = first("decoder.embed_tokens.weight");
  dims.max_source_positions = first("encoder.embed_positions.weight");
  dims.max_target_positions = first("decoder.embed_positions.weight");
  dims.encoder_layers = count_layers(checkpoint, "encoder");
  dims.decoder_layers = count_layers(checkpoint, "decoder");
  dims.encoder_ffn_dim = first("encoder.layers.0.fc1.weight");
  dims.decoder_ffn_dim = first("decoder.layers.0.fc1.weight");
  constexpr int64_t kHeadDim = 64;
  const int64_t count = heads && *heads <= static_cast<uint64_t>(dims.d_model)
                            ? static_cast<int64_t>(*heads)
                            : dims.d_model / kHeadDim;
  dims.encoder_attention_heads = count;
  dims.decoder_attention_heads = count;
  check_dims(dims, checkpoint.where);
  return dims;
}

// The tokenizer, when there is a whole one, and the tokens to suppress.
void keep_facts(WhisperCheckpoint& checkpoint, Metadata& metadata) {
  auto& strings = metadata.strings;
  std::vector<std::string>& tokens = strings[std::string(kTokens)];
  std::vector<std::string>& merges = strings[std::string(kMerges)];
  if (!tokens.empty() && !merges.empty()) {
    checkpoint.token_names = std::move(tokens);
    checkpoint.merges = std::move(merges);
  }
  for (const auto& [theirs, ours] : kTokenLists) {
    const auto found = metadata.integers.find(std::string(theirs));
    if (found != metadata.integers.end()) checkpoint.generation[ours] = found->second;
  }
}

}  // namespace

WhisperCheckpoint parse_gguf(std::span<const std::byte> file, const std::string& where) {
  ByteReader reader(file, where);
  if (reader.read<uint32_t>() != kMagic) throw Error(where, "is not a GGUF file");
  const auto version = reader.read<uint32_t>();
  if (version != 2 && version != 3)
    throw Error(where, "is GGUF of version " + std::to_string(version), "2 and 3 are known");
  const auto tensors = reader.read<uint64_t>();
  const auto entries = reader.read<uint64_t>();
  if (tensors > kMaxTensors || entries > kMaxEntries)
    throw Error(where, "claims to hold too many tensors or too much metadata");
  Metadata metadata = read_metadata(reader, entries);
  // CrisperWhisper has Whisper's tensors, and is asked in another way.
  const bool whisper = metadata.architecture.find("whisper") != std::string::npos &&
                       metadata.architecture.find("crisper") == std::string::npos;
  if (!metadata.architecture.empty() && !whisper)
    throw Error(where, "holds a model of architecture '" + metadata.architecture + "'",
                "only Whisper can be converted from GGUF");
  std::vector<TensorHeader> headers;
  for (uint64_t i = 0; i < tensors; ++i) headers.push_back(read_tensor_header(reader));
  const uint64_t padding =
      (metadata.alignment - reader.position() % metadata.alignment) % metadata.alignment;
  reader.take(tensors == 0 ? 0 : padding);
  const std::span<const std::byte> data = file.subspan(reader.position());
  WhisperCheckpoint checkpoint;
  checkpoint.where = where;
  checkpoint.format = "gguf";
  refuse_cut(headers, data.size(), where);
  for (const TensorHeader& header : headers) add_tensor(checkpoint, header, data);
  checkpoint.dims = infer_dims(checkpoint, metadata.heads);
  keep_facts(checkpoint, metadata);
  return checkpoint;
}

WhisperCheckpoint open_gguf(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  WhisperCheckpoint checkpoint = parse_gguf(file->bytes(), path.string());
  checkpoint.storage = file;
  checkpoint.files = {path};
  return checkpoint;
}

}  // namespace parley::stage
