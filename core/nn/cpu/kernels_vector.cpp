// Layer norm, softmax pieces, the peak of a row of logits, conversions (kernels.h), by Highway.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_vector.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "parley/core/nn/cpu/bf16-inl.h"
#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
constexpr int kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / 4;

void layer_norm(const float* x, int64_t size, const float* weight, const float* bias, float epsilon,
                void* out, bool bf16) {
  const F32 d;
  auto total = hn::Zero(d);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) total = hn::Add(total, hn::LoadU(d, x + i));
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < size; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(size);

  const auto means = hn::Set(d, mean);
  auto squares = hn::Zero(d);
  for (i = 0; i + kLanes <= size; i += kLanes) {
    const auto centred = hn::Sub(hn::LoadU(d, x + i), means);
    squares = hn::MulAdd(centred, centred, squares);
  }
  float variance = hn::GetLane(hn::SumOfLanes(d, squares));
  for (; i < size; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1.f / std::sqrt(variance / static_cast<float>(size) + epsilon);

  const auto factor = hn::Set(d, inverse);
  for (i = 0; i + kLanes <= size; i += kLanes) {
    const auto normal = hn::Mul(hn::Sub(hn::LoadU(d, x + i), means), factor);
    const auto value = hn::MulAdd(normal, hn::LoadU(d, weight + i), hn::LoadU(d, bias + i));
    if (bf16) {
      store_bf16(d, value, static_cast<uint16_t*>(out) + i);
    } else {
      hn::StoreU(value, d, static_cast<float*>(out) + i);
    }
  }
  for (; i < size; ++i) {
    const float value = (x[i] - mean) * inverse * weight[i] + bias[i];
    if (bf16) {
      static_cast<uint16_t*>(out)[i] = f32_to_bf16(value);
    } else {
      static_cast<float*>(out)[i] = value;
    }
  }
}

float maximum_of(const float* x, int64_t count) {
  const F32 d;
  float maximum = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  if (count >= kLanes) {
    auto highest = hn::LoadU(d, x);
    for (i = kLanes; i + kLanes <= count; i += kLanes)
      highest = hn::Max(highest, hn::LoadU(d, x + i));
    maximum = hn::GetLane(hn::MaxOfLanes(d, highest));
  }
  for (; i < count; ++i) maximum = std::max(maximum, x[i]);
  return maximum;
}

// exp(scale * x - shift) of `count` values; store(i, vector) and store_one(i, value) take the
// results. Returns their sum.
template <class Store, class StoreOne>
HWY_INLINE float exp_values(const float* x, int64_t count, float scale, float shift, Store store,
                            StoreOne store_one) {
  const F32 d;
  const auto factor = hn::Set(d, scale);
  const auto offset = hn::Set(d, shift);
  const auto least =
      hn::Set(d, -87.f);  // below: exp is 0 for our purposes; keeps -inf out of the polynomial
  auto total = hn::Zero(d);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto exponent = hn::MulSub(hn::LoadU(d, x + i), factor, offset);
    const auto value =
        hn::IfThenElseZero(hn::Ge(exponent, least), hn::Exp(d, hn::Max(exponent, least)));
    total = hn::Add(total, value);
    store(d, i, value);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < count; ++i) {
    const float value = std::exp(x[i] * scale - shift);
    sum += value;
    store_one(i, value);
  }
  return sum;
}

float exp_in_place(float* x, int64_t count, int64_t padded, float scale) {
  const float shift = scale * maximum_of(x, count);
  const float sum = exp_values(
      x, count, scale, shift, [x](F32 d, int64_t i, auto value) { hn::StoreU(value, d, x + i); },
      [x](int64_t i, float value) { x[i] = value; });
  std::fill(x + count, x + padded, 0.f);
  return sum;
}

float exp_to_bf16(const float* x, int64_t count, int64_t padded, float scale, uint16_t* out) {
  const float shift = scale * maximum_of(x, count);
  const float sum = exp_values(
      x, count, scale, shift,
      [out](F32 d, int64_t i, auto value) { store_bf16(d, value, out + i); },
      [out](int64_t i, float value) { out[i] = f32_to_bf16(value); });
  std::fill(out + count, out + padded, uint16_t{0});
  return sum;
}

void scale_values(float* x, int64_t count, float factor) {
  const F32 d;
  const auto factors = hn::Set(d, factor);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), factors), d, x + i);
  for (; i < count; ++i) x[i] *= factor;
}

void add_values(const float* x, int64_t count, float* sum) {
  const F32 d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(hn::Add(hn::LoadU(d, sum + i), hn::LoadU(d, x + i)), d, sum + i);
  for (; i < count; ++i) sum[i] += x[i];
}

Peak find_peak(const float* x, int64_t count) {
  const float maximum = maximum_of(x, count);
  const int64_t index = std::find(x, x + count, maximum) - x;
  const float sum = exp_values(
      x, count, 1.f, maximum, [](F32, int64_t, auto) {}, [](int64_t, float) {});
  return {maximum, index, maximum + std::log(sum)};
}

void to_bf16(const float* x, int64_t count, uint16_t* out) {
  const F32 d;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_bf16(d, hn::LoadU(d, x + i), out + i);
  for (; i < count; ++i) out[i] = f32_to_bf16(x[i]);
}

void to_f16(const float* x, int64_t count, uint16_t* out) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const F32 d;
  const hn::Rebind<hwy::float16_t, F32> d16;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, x + i)), d16,
               reinterpret_cast<hwy::float16_t*>(out + i));
  }
#endif
  for (; i < count; ++i) out[i] = f32_to_f16(x[i]);
}

void from_f16(const uint16_t* x, int64_t count, float* out) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const F32 d;
  const hn::Rebind<hwy::float16_t, F32> d16;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(x + i))), d,
               out + i);
  }
#endif
  for (; i < count; ++i) out[i] = f16_to_f32(x[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(layer_norm);
HWY_EXPORT(exp_in_place);
HWY_EXPORT(exp_to_bf16);
HWY_EXPORT(scale_values);
HWY_EXPORT(add_values);
HWY_EXPORT(find_peak);
HWY_EXPORT(maximum_of);
HWY_EXPORT(to_bf16);
HWY_EXPORT(to_f16);
HWY_EXPORT(from_f16);

void layer_norm_row(const float* x, int64_t size, const float* weight, const float* bias,
                    float epsilon, void* out, bool bf16) {
  HWY_DYNAMIC_DISPATCH(layer_norm)(x, size, weight, bias, epsilon, out, bf16);
}
float exp_row(float* x, int64_t count, int64_t padded, float scale) {
  return HWY_DYNAMIC_DISPATCH(exp_in_place)(x, count, padded, scale);
}
float exp_row_bf16(const float* x, int64_t count, int64_t padded, float scale, uint16_t* out) {
  return HWY_DYNAMIC_DISPATCH(exp_to_bf16)(x, count, padded, scale, out);
}
void scale_row(float* x, int64_t count, float factor) {
  HWY_DYNAMIC_DISPATCH(scale_values)(x, count, factor);
}
void add_row(const float* x, int64_t count, float* sum) {
  HWY_DYNAMIC_DISPATCH(add_values)(x, count, sum);
}
Peak peak(const float* x, int64_t count) { return HWY_DYNAMIC_DISPATCH(find_peak)(x, count); }
float maximum(const float* x, int64_t count) { return HWY_DYNAMIC_DISPATCH(maximum_of)(x, count); }
void f32_to_bf16_row(const float* x, int64_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(to_bf16)(x, count, out);
}
void f32_to_f16_row(const float* x, int64_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(to_f16)(x, count, out);
}
void f16_to_f32_row(const uint16_t* x, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(from_f16)(x, count, out);
}

}  // namespace parley::nn::kernels
#endif
