// Decode attention over a KV cache (kernels.h), by Highway.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "parley/core/nn/cpu/kernels_attention.cpp"
#define HWY_DISABLED_TARGETS HWY_SSSE3
// clang-format off
#include <hwy/foreach_target.h>  // NOLINT
// clang-format on
#include <hwy/highway.h>

#include <algorithm>

#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using Vector = hn::Vec<F32>;
constexpr int kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / 4;
constexpr int kAccumulators = HWY_TARGET == HWY_AVX3 ? 24 : 12;
constexpr int vectors_for(int rows) {
  return std::clamp(kAccumulators / rows, 1, HWY_TARGET == HWY_SCALAR ? 16 : 8);
}

HWY_INLINE Vector load(F32 d, const float* p) { return hn::LoadU(d, p); }
HWY_INLINE Vector load(F32 d, const hwy::float16_t* p) {
#if HWY_TARGET == HWY_SCALAR
  uint16_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return hn::Set(d, f16_to_f32(bits));
#else
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, F32>(), p));
#endif
}

// scores[r][t] = sum_d q[r][d] * keys[d][t] for N vectors of positions from `t`.
template <int R, int N, class T>
HWY_INLINE void score_tile(const Attention& a, const Segment& segment, int64_t t, float* scores) {
  const F32 d;
  const T* keys = static_cast<const T*>(segment.keys) + t;
  Vector sum[R][N];
  for (auto& row : sum) {
    for (auto& vector : row) vector = hn::Zero(d);
  }
  for (int64_t i = 0; i < a.head_dim; ++i) {
    Vector key[N];
    for (int n = 0; n < N; ++n) key[n] = load(d, keys + i * segment.capacity + n * kLanes);
    for (int r = 0; r < R; ++r) {
      const auto query = hn::Set(d, a.queries[r][i]);
      for (int n = 0; n < N; ++n) sum[r][n] = hn::MulAdd(query, key[n], sum[r][n]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n)
      hn::StoreU(sum[r][n], d, scores + r * a.score_stride + t + n * kLanes);
  }
}

template <int R, class T>
void score_segment(const Attention& a, const Segment& segment, float* scores) {
  constexpr int kVectors = vectors_for(R);
  int64_t t = 0;
  for (; t + kVectors * kLanes <= segment.capacity; t += kVectors * kLanes) {
    if (t >= segment.count) return;
    score_tile<R, kVectors, T>(a, segment, t, scores);
  }
  for (; t < segment.count; t += kLanes) score_tile<R, 1, T>(a, segment, t, scores);
}

// outputs[r][d .. d + N vectors) = sum over segments and positions of p[r][t] * values[t][d]. Even
// and odd positions are summed apart, so that two chains of additions run side by side.
template <int R, int N, class T>
HWY_INLINE void value_tile(const Attention& a, int64_t dim) {
  const F32 d;
  Vector even[R][N];
  Vector odd[R][N];
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n) even[r][n] = odd[r][n] = hn::Zero(d);
  }
  const float* scores = a.scores;
  for (int64_t s = 0; s < a.segment_count; ++s) {
    const Segment& segment = a.segments[s];
    const T* values = static_cast<const T*>(segment.values) + dim;
    const auto add = [&](int64_t t, Vector(&sum)[R][N]) HWY_ATTR {
      Vector value[N];
      for (int n = 0; n < N; ++n) value[n] = load(d, values + t * a.head_dim + n * kLanes);
      for (int r = 0; r < R; ++r) {
        const auto p = hn::Set(d, scores[r * a.score_stride + t]);
        for (int n = 0; n < N; ++n) sum[r][n] = hn::MulAdd(p, value[n], sum[r][n]);
      }
    };
    int64_t t = 0;
    for (; t + 2 <= segment.count; t += 2) {
      add(t, even);
      add(t + 1, odd);
    }
    if (t < segment.count) add(t, even);
    scores += segment.count;
  }
  for (int r = 0; r < R; ++r) {
    for (int n = 0; n < N; ++n)
      hn::StoreU(hn::Add(even[r][n], odd[r][n]), d, a.outputs[r] + dim + n * kLanes);
  }
}

template <int R, class T>
HWY_NOINLINE void attend_rows(const Attention& a) {
  // Scores of all segments lie one after another; a segment's tail of unused capacity is
  // overwritten by the next one.
  float* scores = a.scores;
  int64_t positions = 0;
  for (int64_t s = 0; s < a.segment_count; ++s) {
    score_segment<R, T>(a, a.segments[s], scores + positions);
    positions += a.segments[s].count;
  }
  float sums[R];
  for (int r = 0; r < R; ++r)
    sums[r] = exp_row(scores + r * a.score_stride, positions, positions, 1.f);

  constexpr int kWide = std::clamp(kAccumulators / 2 / R, 1, 4);
  int64_t dim = 0;
  for (; dim + kWide * kLanes <= a.head_dim; dim += kWide * kLanes) value_tile<R, kWide, T>(a, dim);
  for (; dim < a.head_dim; dim += kLanes) value_tile<R, 1, T>(a, dim);
  for (int r = 0; r < R; ++r) scale_row(a.outputs[r], a.head_dim, 1.f / sums[r]);
}

template <class T>
void attend_any(const Attention& a) {
  switch (a.rows) {
    case 1:
      return attend_rows<1, T>(a);
    case 2:
      return attend_rows<2, T>(a);
    case 3:
      return attend_rows<3, T>(a);
    case 4:
      return attend_rows<4, T>(a);
    case 5:
      return attend_rows<5, T>(a);
    case 6:
      return attend_rows<6, T>(a);
    case 7:
      return attend_rows<7, T>(a);
    case 8:
      return attend_rows<8, T>(a);
    default:
      return;
  }
}

void attend_segments(const Attention& a) {
  if (a.f16) {
    attend_any<hwy::float16_t>(a);
  } else {
    attend_any<float>(a);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace parley::nn::kernels {

HWY_EXPORT(attend_segments);
void attend(const Attention& args) { HWY_DYNAMIC_DISPATCH(attend_segments)(args); }

}  // namespace parley::nn::kernels
#endif
