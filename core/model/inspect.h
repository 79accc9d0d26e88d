// What a model consists of, for people.
#pragma once

#include <string>

#include "parley/core/model/model.h"

namespace parley::stage {

// Several lines: the model, then each stage with its inputs, outputs, states, and weights by
// storage type, with bytes; totals.
std::string inspect(const Model& model);

// "23.4 MB"
std::string human_bytes(uint64_t bytes);

}  // namespace parley::stage
