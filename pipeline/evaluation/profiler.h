// Where the time of a computation goes, operator by operator.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "parley/core/nn/observer.h"

namespace parley::pipeline {

// All calls of one operator on one part of a model.
struct ProfileRow {
  std::string layer;      // "decoder.layers.0.fc1"
  std::string operation;  // "linear"
  std::string kernel;     // "int8 rows"
  nn::Isa isa = nn::Isa::kGeneric;
  int64_t calls = 0;
  double seconds = 0;
  double flops = 0;  // of the plain algorithm
  double bytes = 0;  // read and written if nothing stayed in a cache between calls

  double gflops_per_second() const { return seconds > 0 ? flops / seconds / 1e9 : 0; }
  double gbytes_per_second() const { return seconds > 0 ? bytes / seconds / 1e9 : 0; }
};

// Set on a Transcriber or Synthesizer (set_observer); belongs to the thread that computes.
class Profiler : public nn::Observer {
 public:
  void layer(const std::string& name, const nn::Tensor& x) override;
  void operation(const nn::Operation& operation, double seconds) override;

  // The slowest first.
  std::vector<ProfileRow> rows() const;
  double seconds() const;  // of all operators

 private:
  using Key = std::tuple<std::string, std::string_view, std::string_view>;
  std::map<Key, ProfileRow> rows_;
  std::string part_;  // whose weights came last: "decoder.layers.0.self_attn"
};

}  // namespace parley::pipeline
