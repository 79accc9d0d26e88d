// Matrices as models use them: packed once at load for this CPU, immutable and shared afterwards.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/packing.h"
#include "parley/core/nn/precision.h"
#include "parley/core/nn/stored_matrix.h"
#include "parley/core/nn/tensor.h"

namespace parley::nn {

namespace onednn {
class Matrix;
}
namespace kernels {
enum class Form;
struct CompressedMatrix;
}  // namespace kernels

// How a matrix will be used: with many rows at once (an encoder's 1500 positions) or with few (a
// decoder's tokens).
enum class Rows { kMany, kFew };

// How a product is computed and what its weights are stored as. Whatever the kind, activations come
// in and go out as f32, except between products of kBF16Many, where they are bf16.
enum class Compute {
  kBF16Many,  // oneDNN, bf16 (AMX tiles where the CPU has them)
  kF32Few,    // our kernels, f32
  kF32Many,   // the same for many rows: compressed weights become f32 when they are packed
  kBF16Few,   // our kernels, bf16 weights times f32
  kInt8,      // our kernels, int8 weights (a scale for each output) or compressed ones times
              // activations quantized to 8 bits row by row
  kInt8Many,  // the same for many rows: compressed weights become int8 when they are packed
};
// Throws Error when this CPU cannot do it: bf16 needs AVX-512.
Compute compute_for(Precision precision, Rows rows);
std::string_view name_of(Compute compute);
Isa isa_of(Compute compute);  // that its kernels use on this CPU

// The data that a Weight is packed from: matrices [outputs_i, inputs] one under another, with a
// bias each or none.
struct WeightSource {
  struct Part {
    StoredMatrix matrix;    // [outputs, inputs], or a convolution's [outputs, channels, kernel],
                            // which becomes [outputs, kernel * channels]
    Tensor bias = {};       // f32, f16 or bf16 [outputs]; empty: zeros
    std::string name = {};  // for whoever watches: "encoder.layers.0.fc1"
  };
  std::vector<Part> parts;
};

// Of one name after another, what all of them begin with is said once: "a.q_proj", "a.k_proj" ->
// "a.q_proj+k_proj".
std::string joined_names(std::string_view first, std::string_view next);

// y = x W^T + b for W [outputs, inputs].
class Weight {
 public:
  Weight() = default;
  // Throws Error when shapes do not agree.
  Weight(const WeightSource& source, Compute compute, const Packing& packing);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  Compute compute() const { return compute_; }
  const std::string& name() const { return name_; }  // of its parts
  // The kernel that multiplies it, "int4 blocks x int8 rows", and the instruction set that uses.
  std::string_view kernel() const;
  Isa kernel_isa() const { return isa_of(compute_); }
  // What activations are best kept as around this weight: kBF16 for Compute::kBF16Many, else kF32.
  DType activation_type() const {
    return compute_ == Compute::kBF16Many ? DType::kBF16 : DType::kF32;
  }
  // Is it multiplied with rows of bytes by our kernels?
  bool has_int8_rows() const {
    return compute_ == Compute::kInt8 || compute_ == Compute::kInt8Many;
  }
  size_t bytes() const;

 private:
  friend struct LinearCall;
  // Of the parts below in their order, of which most weights have a few only, in bytes.
  static constexpr size_t kParts = 8;
  std::array<size_t, kParts> part_sizes() const;
  std::array<Buffer*, kParts> buffers();
  std::string packing_key(const WeightSource& source) const;
  bool take(KeptParts& kept, const std::string& key);
  void keep(KeptParts& kept, const std::string& key);
  void pack(const WeightSource& source, ThreadTeam& team);
  void pack_onednn(const WeightSource& source, ThreadTeam& team);
  void pack_int8(const WeightSource& source, ThreadTeam& team);
  void pack_float(const WeightSource& source, ThreadTeam& team);
  void pack_compressed(const WeightSource& source, ThreadTeam& team);
  kernels::CompressedMatrix compressed() const;
  int64_t padded_inputs() const;  // of the rows of bytes that it is multiplied with

  std::string name_;
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  Compute compute_ = Compute::kF32Few;
  Buffer bias_;                        // f32, padded to whole panels
  Buffer panels_;                      // of all but kBF16Many (core/nn/cpu/kernels.h)
  Buffer scale_;                       // kInt8: f32, one for each output
  Buffer sum_;                         // kInt8: i32
  int32_t byte_limit_ = 255;           // of activations as bytes
  std::optional<kernels::Form> form_;  // of panels that stay compressed, and their
  Buffer offset_;                      // parts (core/nn/cpu/kernels_compressed.h)
  Buffer palette_;
  Buffer exact_palette_;
  Buffer opaque_;                                 // kBF16Many: in oneDNN's layout
  std::shared_ptr<const onednn::Matrix> matrix_;  // the same, described
};

}  // namespace parley::nn
