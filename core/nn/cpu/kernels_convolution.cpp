// The cheap ends of a convolution (kernels.h): transforms of tiles, bias, residuals and leaky ReLU.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_convolution.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>

#include "parley/core/nn/cpu/bf16-inl.h"
#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, kPanel>;
constexpr int64_t kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / 4;
using V = hn::Vec<F32>;

// With M(x) the product of (x - root) over the six roots and Q_a = M / (x^2 - a^2), an even
// polynomial x^4 - s x^2 + p: the value for a root a is sum over n of the n-th coefficient of
// (x + a) Q_a times x_n, for infinity that of M. (The factors 1 / M'(a) are in the weights.)
HWY_INLINE void transform_pair(const V (&x)[kTilePoints], float root, float s, float p, float* plus,
                               float* minus) {
  const F32 d;
  const auto even = hn::MulAdd(hn::Set(d, p), x[0], hn::NegMulAdd(hn::Set(d, s), x[2], x[4]));
  const auto odd = hn::MulAdd(hn::Set(d, p), x[1], hn::NegMulAdd(hn::Set(d, s), x[3], x[5]));
  hn::StoreU(hn::MulAdd(hn::Set(d, root), even, odd), d, plus);
  hn::StoreU(hn::NegMulAdd(hn::Set(d, root), even, odd), d, minus);
}

void transform_input_rows(const TileInputs& a) {
  const F32 d;
  const auto middle = hn::Set(d, 5.25f);
  alignas(64) static constexpr float kZeros[kPanel] = {};
  for (int64_t g = 0; g < a.rows; ++g) {
    const int64_t first = g / a.dilation * kTileOutputs * a.dilation + g % a.dilation;
    const float* rows[kTilePoints];
    int64_t step[kTilePoints];  // 0: always the same zeros
    for (int64_t n = 0; n < kTilePoints; ++n) {
      const int64_t row = first + n * a.dilation;
      rows[n] = row < a.x_rows ? a.x + row * a.channels : kZeros;
      step[n] = row < a.x_rows ? 1 : 0;
    }
    float* out = a.out + g * a.channels;
    for (int64_t c = 0; c < a.channels; c += kLanes, out += kLanes) {
      V x[kTilePoints];
      for (int64_t n = 0; n < kTilePoints; ++n) x[n] = hn::LoadU(d, rows[n] + c * step[n]);
      transform_pair(x, 0.5f, 5.f, 4.f, out, out + a.point_stride);
      transform_pair(x, 1.f, 4.25f, 1.f, out + 2 * a.point_stride, out + 3 * a.point_stride);
      transform_pair(x, 2.f, 1.25f, 0.25f, out + 4 * a.point_stride, out + 5 * a.point_stride);
      const auto infinity = hn::MulAdd(middle, hn::Sub(x[2], x[4]), hn::Sub(x[6], x[0]));
      hn::StoreU(infinity, d, out + 6 * a.point_stride);
    }
  }
}

// Bias, additions, leaky ReLU and the stores of one vector, at element `at` of all rows.
HWY_INLINE void finish(V value, int64_t column, int64_t at, const ConvolutionEpilogue& e) {
  const F32 d;
  if (e.bias) value = hn::Add(value, hn::LoadU(d, e.bias + column));
  if (e.add[0]) value = hn::Add(value, hn::LoadU(d, e.add[0] + at));
  if (e.add[1]) value = hn::Add(value, hn::LoadU(d, e.add[1] + at));
  if (e.sum) hn::StoreU(value, d, e.sum + at);
  if (!e.activated) return;
  value = hn::Max(value, hn::Mul(hn::Set(d, e.slope), value));
  if (e.activated_type == DType::kF32) {
    hn::StoreU(value, d, static_cast<float*>(e.activated) + at);
    return;
  }
  store_bf16(d, value, static_cast<uint16_t*>(e.activated) + at);
}

void finish_all_rows(const float* sums, int64_t sums_stride, int64_t rows, int64_t columns,
                     const ConvolutionEpilogue& e) {
  const F32 d;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; c += kLanes)
      finish(hn::LoadU(d, sums + r * sums_stride + c), c, r * e.stride + c, e);
  }
}

void transform_output_rows(const TileOutputs& a) {
  const F32 d;
  for (int64_t g = 0; g < a.rows; ++g) {
    const int64_t first = g / a.dilation * kTileOutputs * a.dilation + g % a.dilation;
    const float* sums = a.sums + g * a.columns;
    const int64_t step = a.dilation * a.epilogue.stride;
    for (int64_t c = 0; c < a.columns; c += kLanes) {
      V y[kTilePoints];
      for (int64_t p = 0; p < kTilePoints; ++p) y[p] = hn::LoadU(d, sums + p * a.point_stride + c);
      const V even[3] = {hn::Add(y[0], y[1]), hn::Add(y[2], y[3]), hn::Add(y[4], y[5])};
      const V odd[3] = {hn::Sub(y[0], y[1]), hn::Sub(y[2], y[3]), hn::Sub(y[4], y[5])};
      const auto combine = [&](const V(&part)[3], float half, float two) {
        return hn::MulAdd(hn::Set(d, half), part[0], hn::MulAdd(hn::Set(d, two), part[2], part[1]));
      };
      // The outputs' rows are the powers 0 .. 3 of the roots; infinity counts in the last.
      const V out[kTileOutputs] = {combine(even, 1.f, 1.f), combine(odd, 0.5f, 2.f),
                                   combine(even, 0.25f, 4.f),
                                   hn::Add(combine(odd, 0.125f, 8.f), y[6])};
      for (int64_t n = 0; n < kTileOutputs && first + n * a.dilation < a.output_rows; ++n)
        finish(out[n], c, first * a.epilogue.stride + n * step + c, a.epilogue);
    }
  }
}

void tanh_all(float* x, int64_t count) {
  const F32 d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::Tanh(d, hn::LoadU(d, x + i)), d, x + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) hn::StoreU(hn::Tanh(one, hn::LoadU(one, x + i)), one, x + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(transform_input_rows);
HWY_EXPORT(transform_output_rows);
HWY_EXPORT(finish_all_rows);
HWY_EXPORT(tanh_all);

void transform_inputs(const TileInputs& args) { HWY_DYNAMIC_DISPATCH(transform_input_rows)(args); }
void transform_outputs(const TileOutputs& args) {
  HWY_DYNAMIC_DISPATCH(transform_output_rows)(args);
}
void finish_rows(const float* sums, int64_t sums_stride, int64_t rows, int64_t columns,
                 const ConvolutionEpilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(finish_all_rows)(sums, sums_stride, rows, columns, epilogue);
}
void tanh_row(float* x, int64_t count) { HWY_DYNAMIC_DISPATCH(tanh_all)(x, count); }

}  // namespace parley::nn::kernels
#endif
