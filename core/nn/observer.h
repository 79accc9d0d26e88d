// Whoever watches a computation from beside it.
#pragma once

#include <string>
#include <string_view>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/tensor.h"

namespace parley::nn {

// What one operator did.
struct Operation {
  std::string name;         // of its weights, "decoder.layers.0.fc1"; empty: it has none
  std::string_view kind;    // "linear", "self-attention", ...
  std::string_view kernel;  // "int8 rows"
  Isa isa = Isa::kGeneric;  // that the kernel uses
  double flops = 0;         // of the plain algorithm; a product and a sum are two
  double bytes = 0;         // weights, inputs and outputs, each counted once
};

// Set on a Context (set_observer); called by the thread that computes. While none is set, watching
// costs a null pointer test for each layer and operator.
class Observer {
 public:
  virtual ~Observer() = default;
  // A layer of a stage is done, and x is what it leaves to the next one: [rows, channels], f32 or
  // bf16, valid during the call. name: "encoder.layers.3". A decoder calls it in every step.
  virtual void layer(const std::string& name, const Tensor& x) = 0;
  // An operator without weights belongs to the part of the model whose weights came before.
  virtual void operation(const Operation& operation, double seconds) = 0;
};

}  // namespace parley::nn
