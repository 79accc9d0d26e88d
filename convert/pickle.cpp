#include "parley/convert/pickle.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_map>

#include "parley/convert/byte_reader.h"
#include "parley/core/base/error.h"
#include "parley/core/model/safetensors.h"

namespace parley::stage {

namespace {

constexpr size_t kMaxBytes = size_t{64} << 20;
constexpr size_t kMaxValues = size_t{1} << 18;
constexpr size_t kMaxStack = size_t{1} << 17;
constexpr size_t kMaxMarks = 256;

struct StorageType {
  std::string_view name;
  std::optional<nn::DType> dtype;
};

constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", nn::DType::kF32},     {"HalfStorage", nn::DType::kF16},
    {"BFloat16Storage", nn::DType::kBF16}, {"CharStorage", nn::DType::kI8},
    {"ByteStorage", nn::DType::kU8},       {"IntStorage", nn::DType::kI32},
    {"LongStorage", nn::DType::kI64},      {"DoubleStorage", std::nullopt},
    {"ShortStorage", std::nullopt},        {"BoolStorage", std::nullopt},
};

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";

const StorageType* find_storage_type(std::string_view global) {
  constexpr std::string_view kModule = "torch.";
  if (!global.starts_with(kModule)) return nullptr;
  for (const StorageType& type : kStorageTypes) {
    if (global.substr(kModule.size()) == type.name) return &type;
  }
  return nullptr;
}

bool is_known_global(std::string_view name) {
  return name == kOrderedDict || name == kRebuildTensor || name == kRebuildParameter ||
         find_storage_type(name) != nullptr;
}

}  // namespace

class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const std::string& where, Pickle& pickle)
      : reader_(bytes, where), values_(pickle.values_), root_(pickle.root_) {
    if (bytes.size() > kMaxBytes) refuse("is too large for a pickle");
  }

  void run() {
    while (step(reader_.read<uint8_t>())) {
      if (stack_.size() > kMaxStack || values_.size() > kMaxValues || marks_.size() > kMaxMarks) {
        refuse("holds too many values");
      }
    }
    root_ = pop();
  }

 private:
  using Id = Pickle::Id;
  using Value = Pickle::Value;

  bool step(uint8_t opcode);
  bool step_containers(uint8_t opcode);
  void step_memo(uint8_t opcode);

  [[noreturn]] void refuse(const std::string& problem) const {
    throw Error(reader_.where(), "pickle " + problem,
                "only what torch.save() writes for a state dict is read");
  }

  void push(Id id) { stack_.push_back(id); }
  void push_new(Value value) {
    values_.push_back(std::move(value));
    push(static_cast<Id>(values_.size() - 1));
  }
  // Never below the innermost mark.
  Id pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back()))
      refuse("takes more from its stack than is there");
    const Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Id top() {
    const Id id = pop();
    push(id);
    return id;
  }
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) refuse("has no mark where it needs one");
    std::vector<Id> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                          stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  std::vector<Id> pop_items(int count) {
    std::vector<Id> items(static_cast<size_t>(count));
    for (int i = count - 1; i >= 0; --i) items[static_cast<size_t>(i)] = pop();
    return items;
  }

  template <typename T>
  T& as(Id id, const char* what) {
    T* value = std::get_if<T>(&values_[id]);
    if (value == nullptr) refuse(std::string("has something else where it needs ") + what);
    return *value;
  }

  // A line of text, as the operand of GLOBAL.
  std::string_view line();
  void push_global(std::string_view module, std::string_view name);
  void push_long(uint8_t bytes);
  void set_items(const std::vector<Id>& items);
  void append_items(const std::vector<Id>& items);
  void persistent_storage();
  void reduce();
  Value rebuild_tensor(const std::vector<Id>& arguments);
  std::vector<int64_t> integers(Id tuple);

  ByteReader reader_;
  std::vector<Value>& values_;
  Id& root_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // stack heights
  std::unordered_map<uint32_t, Id> memo_;
};

namespace {

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

}  // namespace

// Scalars, names and calls; everything else is left to the next functions. False at the end of the
// program.
bool PickleMachine::step(uint8_t opcode) {
  switch (opcode) {
    case kStop:
      return false;
    case kProto:
      if (reader_.read<uint8_t>() > 5) refuse("is of a protocol newer than 5");
      return true;
    case kFrame:
      reader_.read<uint64_t>();
      return true;
    case kNone:
      push_new(Pickle::None{});
      return true;
    case kNewTrue:
      push_new(true);
      return true;
    case kNewFalse:
      push_new(false);
      return true;
    case kBinInt:
      push_new(int64_t{reader_.read<int32_t>()});
      return true;
    case kBinInt1:
      push_new(int64_t{reader_.read<uint8_t>()});
      return true;
    case kBinInt2:
      push_new(int64_t{reader_.read<uint16_t>()});
      return true;
    case kLong1:
      push_long(reader_.read<uint8_t>());
      return true;
    case kBinFloat:
      push_new(std::bit_cast<double>(__builtin_bswap64(reader_.read<uint64_t>())));
      return true;
    case kShortBinString:
    case kShortBinUnicode:
      push_new(reader_.text(reader_.read<uint8_t>()));
      return true;
    case kBinString:
    case kBinUnicode:
      push_new(reader_.text(reader_.read<uint32_t>()));
      return true;
    case kBinUnicode8:
      push_new(reader_.text(reader_.read<uint64_t>()));
      return true;
    case kGlobal: {
      const std::string_view module = line();
      push_global(module, line());
      return true;
    }
    case kStackGlobal: {
      const auto name = as<std::string_view>(pop(), "a name");
      push_global(as<std::string_view>(pop(), "a module"), name);
      return true;
    }
    case kBinPersId:
      persistent_storage();
      return true;
    case kReduce:
      reduce();
      return true;
    case kBuild:  // attributes of an OrderedDict (torch's _metadata): not needed
      pop();
      as<Pickle::Dict>(top(), "a dict");
      return true;
    default:
      return step_containers(opcode);
  }
}

bool PickleMachine::step_containers(uint8_t opcode) {
  switch (opcode) {
    case kMark:
      marks_.push_back(stack_.size());
      return true;
    case kPop:
      pop();
      return true;
    case kPopMark:
      pop_to_mark();
      return true;
    case kEmptyTuple:
      push_new(Pickle::Tuple{});
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3:
      push_new(Pickle::Tuple{pop_items(opcode - kTuple1 + 1)});
      return true;
    case kTuple:
      push_new(Pickle::Tuple{pop_to_mark()});
      return true;
    case kEmptyList:
      push_new(Pickle::List{});
      return true;
    case kList:
      push_new(Pickle::List{pop_to_mark()});
      return true;
    case kAppend:
      append_items({pop()});
      return true;
    case kAppends:
      append_items(pop_to_mark());
      return true;
    case kEmptyDict:
      push_new(Pickle::Dict{});
      return true;
    case kDict: {
      const std::vector<Id> items = pop_to_mark();
      push_new(Pickle::Dict{});
      set_items(items);
      return true;
    }
    case kSetItem:
      set_items(pop_items(2));
      return true;
    case kSetItems:
      set_items(pop_to_mark());
      return true;
    default:
      step_memo(opcode);
      return true;
  }
}

void PickleMachine::step_memo(uint8_t opcode) {
  const auto get = [&](uint32_t slot) {
    const auto found = memo_.find(slot);
    if (found == memo_.end()) refuse("reads a memo that it has not written");
    push(found->second);
  };
  switch (opcode) {
    case kBinPut:
      memo_[reader_.read<uint8_t>()] = top();
      return;
    case kLongBinPut:
      memo_[reader_.read<uint32_t>()] = top();
      return;
    case kMemoize:
      memo_[static_cast<uint32_t>(memo_.size())] = top();
      return;
    case kBinGet:
      return get(reader_.read<uint8_t>());
    case kLongBinGet:
      return get(reader_.read<uint32_t>());
    default:
      refuse("has instruction " + std::to_string(opcode) + ", which is not known here");
  }
}

std::string_view PickleMachine::line() {
  const size_t begin = reader_.position();
  ByteReader ahead = reader_;
  while (ahead.read<char>() != '\n') {
  }
  const std::string_view text = reader_.text(ahead.position() - begin);
  return text.substr(0, text.size() - 1);
}

void PickleMachine::push_global(std::string_view module, std::string_view name) {
  const std::string full =
      std::string(module.substr(0, 100)) + "." + std::string(name.substr(0, 100));
  if (!is_known_global(full)) refuse("names '" + full + "', which is not allowed");
  push_new(Pickle::Global{full});
}

// A little-endian two's complement number.
void PickleMachine::push_long(uint8_t bytes) {
  if (bytes > sizeof(int64_t)) refuse("has an integer of more than 64 bits");
  const std::span<const std::byte> digits = reader_.take(bytes);
  uint64_t value = 0;
  for (size_t i = 0; i < digits.size(); ++i)
    value |= std::to_integer<uint64_t>(digits[i]) << (8 * i);
  const int unused_bits = 64 - 8 * bytes;
  if (bytes > 0)
    value = static_cast<uint64_t>(static_cast<int64_t>(value << unused_bits) >> unused_bits);
  push_new(static_cast<int64_t>(value));
}

void PickleMachine::set_items(const std::vector<Id>& items) {
  auto& dict = as<Pickle::Dict>(top(), "a dict");
  if (items.size() % 2 != 0) refuse("sets a key without a value");
  for (size_t i = 0; i < items.size(); i += 2) dict.items.emplace_back(items[i], items[i + 1]);
}

void PickleMachine::append_items(const std::vector<Id>& items) {
  auto& list = as<Pickle::List>(top(), "a list");
  list.items.insert(list.items.end(), items.begin(), items.end());
}

// ('storage', torch.HalfStorage, key, location, elements)
void PickleMachine::persistent_storage() {
  const auto& id = as<Pickle::Tuple>(pop(), "a storage").items;
  if (id.size() != 5 || as<std::string_view>(id[0], "'storage'") != "storage")
    refuse("has an unknown reference");
  const StorageType* type = find_storage_type(as<Pickle::Global>(id[1], "a storage type").name);
  if (type == nullptr) refuse("has something else where it needs a storage type");
  const Pickle::Storage storage{.key = as<std::string_view>(id[2], "a storage key"),
                                .type = std::string(type->name),
                                .dtype = type->dtype,
                                .elements = as<int64_t>(id[4], "a storage size")};
  if (storage.elements < 0) refuse("has a storage of negative size");
  push_new(storage);
}

void PickleMachine::reduce() {
  const Id arguments_id = pop();
  const std::string name = as<Pickle::Global>(pop(), "a function").name;
  const std::vector<Id> arguments = as<Pickle::Tuple>(arguments_id, "arguments").items;
  if (name == kRebuildTensor) return push_new(rebuild_tensor(arguments));
  if (name == kRebuildParameter && arguments.size() == 3) {
    as<Pickle::Tensor>(arguments[0], "a tensor");
    return push(arguments[0]);
  }
  if (name == kOrderedDict && arguments.empty()) return push_new(Pickle::Dict{});
  refuse("calls '" + name + "' in an unknown way");
}

std::vector<int64_t> PickleMachine::integers(Id tuple) {
  std::vector<int64_t> numbers;
  for (const Id id : as<Pickle::Tuple>(tuple, "a tuple").items) {
    numbers.push_back(as<int64_t>(id, "an integer"));
    if (numbers.back() < 0) refuse("has a negative size or stride");
  }
  if (numbers.size() > nn::Shape::kMaxRank) refuse("has a tensor of more than four dimensions");
  return numbers;
}

// (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
Pickle::Value PickleMachine::rebuild_tensor(const std::vector<Id>& arguments) {
  if (arguments.size() < 6 || arguments.size() > 7) refuse("rebuilds a tensor in an unknown way");
  const std::vector<int64_t> size = integers(arguments[2]);
  Pickle::Tensor tensor{.storage = as<Pickle::Storage>(arguments[0], "a storage"),
                        .offset = as<int64_t>(arguments[1], "an offset"),
                        .shape = nn::Shape(size),
                        .strides = integers(arguments[3])};
  if (tensor.offset < 0 || tensor.strides.size() != size.size() ||
      !byte_size(size, sizeof(int64_t))) {
    refuse("has a tensor of an impossible shape");
  }
  int64_t last = tensor.offset;  // the farthest element
  for (size_t axis = 0; axis < size.size(); ++axis) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(std::max<int64_t>(size[axis] - 1, 0), tensor.strides[axis],
                               &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      refuse("has a tensor outside its storage");
    }
  }
  const int64_t elements = tensor.shape.elements();
  if (elements > tensor.storage.elements || (elements > 0 && last >= tensor.storage.elements)) {
    refuse("has a tensor outside its storage");
  }
  return tensor;
}

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& where) {
  PickleMachine(bytes, where, *this).run();
}

const Pickle::Value* Pickle::find(const Value& dict, std::string_view key) const {
  const auto& items = std::get<Dict>(dict).items;
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    const auto* name = std::get_if<std::string_view>(&values_[item->first]);
    if (name != nullptr && *name == key) return &values_[item->second];
  }
  return nullptr;
}

}  // namespace parley::stage
