// The kinds of stages that Parley knows: one file each in this folder, one line each in kinds.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "parley/core/model/model.h"
#include "parley/core/model/named_shape.h"

namespace parley::stage {

struct Kind {
  std::string_view name;
  // Every tensor that a stage of this kind holds, by its config. Throws Error for a config that no
  // such stage can have. Null: the kind has no tensors of fixed names.
  std::vector<NamedShape> (*tensors)(const Stage& stage);
  bool compressible;  // its matrices may be stored in fewer than 16 bits
};

// Null for a kind that is not known.
const Kind* find_kind(std::string_view name);

// Throws Error naming the first tensor that the stage's kind asks for and that is missing, of
// another shape, or damaged in its compressed parts. What a stage of an unknown kind holds is not
// checked.
void check_tensors(const Stage& stage);

}  // namespace parley::stage
