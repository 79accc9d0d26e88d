// The tensors that a stage must have, with the shapes that its configuration gives them.
#pragma once

#include <string>
#include <vector>

#include "parley/core/nn/tensor.h"

namespace parley::stage {

struct NamedShape {
  std::string name;
  nn::Shape shape;
};

// <name>.weight [out, in] and <name>.bias [out].
inline void add_linear(std::vector<NamedShape>& tensors, const std::string& name, int64_t out,
                       int64_t in, bool bias = true) {
  tensors.push_back({name + ".weight", {out, in}});
  if (bias) tensors.push_back({name + ".bias", {out}});
}

// <name>.weight and <name>.bias [size].
inline void add_norm(std::vector<NamedShape>& tensors, const std::string& name, int64_t size) {
  tensors.push_back({name + ".weight", {size}});
  tensors.push_back({name + ".bias", {size}});
}

}  // namespace parley::stage
