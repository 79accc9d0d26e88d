// Pickles from outside: read to values whose references all hold, or refused with Error.
#include <cstdint>
#include <span>

#include "parley/convert/pickle.h"
#include "parley/core/base/error.h"

using parley::stage::Pickle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Pickle pickle(std::as_bytes(std::span(data, size)), "fuzz");
    const Pickle::Value& root = pickle.root();
    if (const auto* dict = std::get_if<Pickle::Dict>(&root)) {
      for (const auto& [key, value] : dict->items) {
        const auto* tensor = std::get_if<Pickle::Tensor>(&pickle[value]);
        if (tensor != nullptr && tensor->shape.elements() > tensor->storage.elements)
          __builtin_trap();
        if (const auto* name = std::get_if<std::string_view>(&pickle[key]))
          pickle.find(root, *name);
      }
    }
  } catch (const parley::Error&) {
  }
  return 0;
}
