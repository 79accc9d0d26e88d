// The file model.bin of CTranslate2: named variables, one after the other, and other names for
// them (format: python/ctranslate2/specs/model_spec.py and src/models/model.cc there).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "parley/convert/checkpoint.h"
#include "parley/core/nn/tensor.h"

namespace parley::stage {

// Under CTranslate2's numbers (include/ctranslate2/types.h).
enum class Ct2Type : uint8_t { kF32, kI8, kI16, kI32, kF16, kBF16 };

struct Ct2Variable {
  Ct2Type type = Ct2Type::kF32;
  nn::Shape shape;
  std::span<const std::byte> bytes;  // all of its elements, not aligned

  bool quantized() const { return type == Ct2Type::kI8 || type == Ct2Type::kI16; }
};

using Ct2Variables = std::map<std::string, Ct2Variable, std::less<>>;

// The variables of a WhisperSpec, of binary versions 2 to 6; aliases are variables as well. They
// are views of `file`. Throws Error named by `where` for anything else.
Ct2Variables read_ct2_variables(std::span<const std::byte> file, const std::string& where);

// True when the bytes begin as a model.bin does: binary version, name of the specification.
bool begins_as_ct2(std::span<const std::byte> file);

// An integer of any type; `variable` must have elements.
int64_t ct2_integer(const Ct2Variable& variable, const std::string& where);

// Rows [first, first + rows) of a variable of at least one dimension, none of them empty, as
// something to read from. Quantized elements are value / scale: `scales` is one f32, or has as many
// of them for each row, or is empty (int16 of old files: 1000).
std::unique_ptr<SourceTensor> ct2_rows(const Ct2Variable& variable,
                                       std::span<const std::byte> scales, int64_t first,
                                       int64_t rows);

}  // namespace parley::stage
