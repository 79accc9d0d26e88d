#include "parley/convert/torch_file.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "parley/core/base/error.h"

namespace parley::stage {

namespace {
constexpr size_t kMaxPickleBytes = size_t{64} << 20;
constexpr zip_int64_t kMaxEntries = 1 << 17;

// What is missing of a file without its end, where a zip archive's index is: the first entry, the
// pickle, says how long the storages are that follow it. Nothing where it cannot be read either.
std::optional<uint64_t> missing_bytes(std::span<const std::byte> file) {
  constexpr size_t kHeader = 30;  // of an entry: the lengths of its name and extra field are last
  if (file.size() < kHeader) return std::nullopt;
  const auto length = [&](size_t at) {
    return std::to_integer<size_t>(file[at]) | std::to_integer<size_t>(file[at + 1]) << 8;
  };
  const size_t start = kHeader + length(kHeader - 4) + length(kHeader - 2);
  if (start >= file.size()) return std::nullopt;
  std::map<std::string_view, uint64_t> storages;
  try {
    const std::span<const std::byte> rest = file.subspan(start);
    const Pickle pickle(rest.first(std::min(rest.size(), kMaxPickleBytes)), "");
    for (const Pickle::Value& value : pickle.values()) {
      const auto* storage = std::get_if<Pickle::Storage>(&value);
      if (storage != nullptr && storage->dtype)
        storages[storage->key] =
            static_cast<uint64_t>(storage->elements) * nn::size_of(*storage->dtype);
    }
    uint64_t needed = 0;
    for (const auto& [key, bytes] : storages) needed += bytes;
    return needed > rest.size() ? std::optional(needed - rest.size()) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}
}  // namespace

// The zip archive over memory. Entries must be stored, not compressed, so that sizes are bounded by
// the file's.
class TorchFile::Archive {
 public:
  Archive(std::span<const std::byte> file, std::string where) : where_(std::move(where)) {
    check_format(file);
    zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, nullptr);
    if (source == nullptr) throw Error(where_, "cannot be opened as a zip archive");
    zip_ = zip_open_from_source(source, ZIP_RDONLY, nullptr);
    if (zip_ == nullptr) {
      zip_source_free(source);
      const std::optional<uint64_t> missing = missing_bytes(file);
      throw Error(where_, missing ? "is cut short: at least " + std::to_string(*missing) +
                                        " bytes are missing"
                                  : "is cut short or damaged: the index at its end is missing");
    }
    entries_ = zip_get_num_entries(zip_, 0);
    if (entries_ > kMaxEntries) {
      zip_discard(zip_);
      throw Error(where_, "has too many zip entries");
    }
    file_bytes_ = file.size();
  }
  ~Archive() { zip_discard(zip_); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  struct Entry {
    zip_uint64_t index = 0;
    uint64_t bytes = 0;
  };

  // The prefix ("archive/") of all entries: that of data.pkl.
  std::string find_prefix() const {
    constexpr std::string_view kPickle = "data.pkl";
    for (zip_int64_t i = 0; i < entries_; ++i) {
      const char* name = zip_get_name(zip_, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
      const std::string_view text = name == nullptr ? "" : name;
      if (!text.ends_with(kPickle)) continue;
      const std::string_view prefix = text.substr(0, text.size() - kPickle.size());
      if (prefix.empty() || prefix.find('/') == prefix.size() - 1) return std::string(prefix);
    }
    throw Error(where_, "is a zip archive that torch.save() has not written: it has no data.pkl",
                "if a model is inside, unpack it and give the folder, or the checkpoint in it");
  }

  std::optional<Entry> find(const std::string& name) const {
    const zip_int64_t index = zip_name_locate(zip_, name.c_str(), ZIP_FL_ENC_RAW);
    if (index < 0) return std::nullopt;
    zip_stat_t stat;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(zip_, static_cast<zip_uint64_t>(index), 0, &stat) != 0 ||
        (stat.valid & kNeeded) != kNeeded) {
      throw Error(where_, "entry '" + name + "' cannot be read");
    }
    if (stat.comp_method != ZIP_CM_STORE || stat.size > file_bytes_) {
      throw Error(where_, "entry '" + name + "' is compressed or longer than the file",
                  "torch.save() stores entries as they are");
    }
    return Entry{static_cast<zip_uint64_t>(index), stat.size};
  }

  void read(const Entry& entry, uint64_t offset, std::span<std::byte> out) const {
    zip_file_t* file = zip_fopen_index(zip_, entry.index, 0);
    bool good = file != nullptr && zip_fseek(file, static_cast<zip_int64_t>(offset), SEEK_SET) == 0;
    while (good && !out.empty()) {
      const zip_int64_t count = zip_fread(file, out.data(), out.size());
      good = count > 0;
      if (good) out = out.subspan(static_cast<size_t>(count));
    }
    if (file != nullptr) zip_fclose(file);
    if (!good) throw Error(where_, "is damaged or cut short");
  }

 private:
  void check_format(std::span<const std::byte> file) const {
    const auto starts_with = [&](std::string_view magic) {
      return file.size() >= magic.size() &&
             std::equal(magic.begin(), magic.end(), reinterpret_cast<const char*>(file.data()));
    };
    if (starts_with("PK")) return;
    if (starts_with("\x80\x02\x8a")) {  // protocol 2, then the magic number of old files as a LONG1
      throw Error(where_, "is in the file format of PyTorch before 1.6, which is not supported",
                  "load it in a current PyTorch and torch.save() it again");
    }
    throw Error(where_, "is not a file of torch.save()");
  }

  std::string where_;
  zip_t* zip_ = nullptr;
  zip_int64_t entries_ = 0;
  uint64_t file_bytes_ = 0;
};

class TorchFile::Tensor : public SourceTensor {
 public:
  Tensor(const Archive& archive, Archive::Entry entry, Pickle::Tensor tensor)
      : archive_(archive), entry_(entry), tensor_(std::move(tensor)) {}

  nn::Shape shape() const override { return tensor_.shape; }
  nn::DType dtype() const override { return *tensor_.storage.dtype; }

  void read(int64_t first, std::span<float> out) const override {
    if (contiguous()) {
      nn::Buffer part(out.size() * element_bytes());
      archive_.read(entry_, static_cast<uint64_t>(tensor_.offset + first) * element_bytes(),
                    {part.data(), part.size()});
      nn::to_f32(part.data(), dtype(), out.size(), out.data());
      return;
    }
    // Rare (transposed views): the storage is read once as a whole.
    if (storage_.size() == 0) {
      storage_ = nn::Buffer(static_cast<size_t>(tensor_.storage.elements) * element_bytes());
      archive_.read(entry_, 0, {storage_.data(), storage_.size()});
    }
    for (size_t i = 0; i < out.size(); ++i) {
      const auto at = static_cast<size_t>(storage_index(first + static_cast<int64_t>(i)));
      nn::to_f32(storage_.data() + at * element_bytes(), dtype(), 1, &out[i]);
    }
  }

 private:
  size_t element_bytes() const { return nn::size_of(dtype()); }

  bool contiguous() const {
    int64_t expected = 1;
    for (int axis = tensor_.shape.rank() - 1; axis >= 0; --axis) {
      if (tensor_.shape[axis] != 1 && tensor_.strides[static_cast<size_t>(axis)] != expected)
        return false;
      expected *= tensor_.shape[axis];
    }
    return true;
  }

  int64_t storage_index(int64_t element) const {
    int64_t index = tensor_.offset;
    for (int axis = tensor_.shape.rank() - 1; axis >= 0; --axis) {
      index += element % tensor_.shape[axis] * tensor_.strides[static_cast<size_t>(axis)];
      element /= tensor_.shape[axis];
    }
    return index;
  }

  const Archive& archive_;
  Archive::Entry entry_;
  Pickle::Tensor tensor_;
  mutable nn::Buffer storage_;
};

TorchFile::TorchFile(const std::filesystem::path& path)
    : file_(path),
      where_(path.string()),
      archive_(std::make_unique<Archive>(file_.bytes(), where_)) {
  read_pickle();
}

TorchFile::TorchFile(std::span<const std::byte> file, const std::string& where)
    : where_(where), archive_(std::make_unique<Archive>(file, where)) {
  read_pickle();
}

TorchFile::~TorchFile() = default;

void TorchFile::read_pickle() {
  prefix_ = archive_->find_prefix();
  const std::optional<Archive::Entry> entry = archive_->find(prefix_ + "data.pkl");
  if (!entry || entry->bytes > kMaxPickleBytes)
    throw Error(where_, "data.pkl is missing or too large");
  pickle_bytes_ = nn::Buffer(entry->bytes);
  const std::span<std::byte> bytes(pickle_bytes_.data(), pickle_bytes_.size());
  archive_->read(*entry, 0, bytes);
  pickle_ = std::make_unique<Pickle>(bytes, where_ + ": data.pkl");

  if (const auto byteorder = archive_->find(prefix_ + "byteorder")) {
    std::array<std::byte, 6> text{};
    const bool readable = byteorder->bytes == text.size();
    if (readable) archive_->read(*byteorder, 0, text);
    if (!readable ||
        std::string_view(reinterpret_cast<const char*>(text.data()), text.size()) != "little") {
      throw Error(where_, "holds big-endian numbers", "save it again on a little-endian machine");
    }
  }
}

std::unique_ptr<SourceTensor> TorchFile::tensor(const Pickle::Tensor& tensor,
                                                const std::string& name) const {
  const std::string where = where_ + ": tensor '" + name + "'";
  const std::optional<nn::DType> dtype = tensor.storage.dtype;
  if (dtype != nn::DType::kF32 && dtype != nn::DType::kF16 && dtype != nn::DType::kBF16) {
    throw Error(where, "is a " + tensor.storage.type + "; only f32, f16 and bf16 are supported");
  }
  const std::string key(tensor.storage.key);
  const std::optional<Archive::Entry> entry = archive_->find(prefix_ + "data/" + key);
  if (!entry) throw Error(where, "storage '" + key + "' is missing");
  if (static_cast<uint64_t>(tensor.storage.elements) > entry->bytes / nn::size_of(*dtype)) {
    throw Error(where, "storage '" + key + "' is shorter than it claims");
  }
  return std::make_unique<Tensor>(*archive_, *entry, tensor);
}

}  // namespace parley::stage
