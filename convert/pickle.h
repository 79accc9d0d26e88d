// Pickles read as data. A pickle is a program for a small stack machine (Python's pickletools.py
// describes it); loading one in Python may run anything. This machine knows the instructions and
// the few names that torch.save() needs, builds plain values from them, and refuses every other
// name. Nothing is ever called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "parley/core/nn/tensor.h"

namespace parley::stage {

// The contents of one pickle. Values refer to each other by index, so that sharing and cycles are
// harmless. Strings are views of the pickle's bytes.
class Pickle {
 public:
  using Id = uint32_t;

  struct None {};
  struct Tuple {
    std::vector<Id> items;
  };
  struct List {
    std::vector<Id> items;
  };
  struct Dict {  // in the order of insertion; a key may occur again: the last one counts
    std::vector<std::pair<Id, Id>> items;
  };
  struct Global {
    std::string name;  // "module.name"
  };
  // torch's storages, by reference: the bytes lie elsewhere under `key`.
  struct Storage {
    std::string_view key;
    std::string type;                // "HalfStorage"
    std::optional<nn::DType> dtype;  // nothing when nn::DType has none for it
    int64_t elements = 0;
  };
  // torch._utils._rebuild_tensor_v2. Checked: every element lies inside the storage.
  struct Tensor {
    Storage storage;
    int64_t offset = 0;
    nn::Shape shape;
    std::vector<int64_t> strides;  // in elements, one per dimension
  };
  using Value = std::variant<None, bool, int64_t, double, std::string_view, Tuple, List, Dict,
                             Global, Storage, Tensor>;

  // Runs the pickle to its end. Throws Error, named by `where`, when it is damaged, uses an
  // instruction that torch does not, or names anything (as os.system) outside the short list.
  // `bytes` must outlive the object.
  Pickle(std::span<const std::byte> bytes, const std::string& where);

  const Value& root() const { return values_[root_]; }
  const Value& operator[](Id id) const { return values_[id]; }
  std::span<const Value> values() const { return values_; }
  // The value under a string key, or nullptr. The value must be a Dict.
  const Value* find(const Value& dict, std::string_view key) const;

 private:
  friend class PickleMachine;

  std::vector<Value> values_;
  Id root_ = 0;
};

}  // namespace parley::stage
