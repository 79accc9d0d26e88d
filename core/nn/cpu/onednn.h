// The whole of oneDNN's API as Parley uses it. Internal to nn/. oneDNN 2.6; scratchpads belong to
// the caller.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "parley/core/nn/context.h"
#include "parley/core/nn/cpu/isa.h"
#include "parley/core/nn/tensor.h"

namespace parley::nn::onednn {

// Holds oneDNN to `limit` (before its first use) and returns the level that it will use, its own
// limit counted in.
Isa limit_isa(Isa limit);
std::string version();

// A bf16 matrix [outputs, inputs] in the layout that oneDNN likes best for products with many rows.
// Immutable.
class Matrix {
 public:
  // The layout, which the shape, oneDNN and the processor decide.
  struct Layout {
    size_t bytes;
    std::string name;  // equal for equal layouts
  };
  static Layout layout(int64_t outputs, int64_t inputs);
  // weights: f32 [outputs, inputs]. packed: of layout().bytes.
  static void pack(const Tensor& weights, const Buffer& packed);

  Matrix(int64_t outputs, int64_t inputs, Buffer packed);
  ~Matrix();
  Matrix(Matrix&&) noexcept;

  struct Options {
    const float* bias = nullptr;  // [outputs]
    bool gelu = false;
    bool accumulate = false;  // out += product (f32 out only)
  };
  // Rows are cut into slices that the context's team shares; within a slice oneDNN runs on one
  // thread, so that the result does not depend on the number of threads. out[r] = x[r] W^T + bias.
  // x: [rows, inputs], bf16, any row stride; out: [rows, outputs], f32 or bf16.
  void multiply(Context& ctx, const Tensor& x, const Options& options, const Tensor& out) const;

  struct Shapes {
    int64_t rows, inputs, outputs;
    DType out;
  };
  // oneDNN's name of what would multiply a slice of `rows` rows; with "ref" in it, it is slow.
  static std::string implementation(const Shapes& shapes, const Options& options);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A product of fixed shape, bf16 x bf16 -> f32 or bf16, run by one thread at a time per scratchpad:
// c[m, n] = a[m, k] b[k, n].
class Product {
 public:
  struct Shapes {
    int64_t m, n, k;
    int64_t a_stride;         // elements between rows of a
    int64_t b_row_stride;     // elements between b[k][n] and b[k + 1][n] of the source of pack()
    int64_t b_column_stride;  // elements between b[k][n] and b[k][n + 1]
    DType c_type;
    int64_t c_stride;
  };
  explicit Product(const Shapes& shapes);
  ~Product();
  Product(Product&&) noexcept;

  std::string implementation() const;  // as Matrix::implementation
  size_t packed_bytes() const;
  size_t scratch_bytes() const;
  void pack(const void* b, void* packed, void* scratch) const;
  void run(const void* a, const void* packed, void* c, void* scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A 1-D convolution of fixed shape without padding, bf16 x bf16 -> f32, rows of channels:
// sums[t] = sum over k of W[:, :, k] x[t + k * dilation]. Immutable; run by any number of threads,
// each with a scratchpad of its own.
class Convolution {
 public:
  struct Shapes {
    int64_t rows;  // of the result; x has rows + (kernel - 1) * dilation
    int64_t inputs, outputs, kernel, dilation;
  };
  // weights: f32 [outputs, inputs, kernel].
  Convolution(const Shapes& shapes, const float* weights);
  ~Convolution();
  Convolution(Convolution&&) noexcept;

  static std::string implementation(const Shapes& shapes);  // as Matrix::implementation
  size_t bytes() const;
  size_t scratch_bytes() const;
  void run(const void* x, float* sums, void* scratch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace parley::nn::onednn
