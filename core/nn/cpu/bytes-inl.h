// Products of bytes, inside a Highway target's namespace: vectors of unsigned and signed bytes,
// each four neighbours of which are multiplied and added to one sum.
#if defined(PARLEY_NN_BYTES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PARLEY_NN_BYTES_INL_H_
#undef PARLEY_NN_BYTES_INL_H_
#else
#define PARLEY_NN_BYTES_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

// 64 bytes, so that loops over vectors are the same.
constexpr int kByteVectorSize = 64;
struct SignedBytes {
  int8_t value[kByteVectorSize];
};
struct UnsignedBytes {
  uint8_t value[4];  // the same for every sum
};
struct ByteSums {
  int32_t value[kByteVectorSize / 4];
};

inline ByteSums zero_sums() { return {}; }
inline SignedBytes load_bytes(const int8_t* p) {
  SignedBytes bytes;
  std::memcpy(bytes.value, p, sizeof bytes.value);
  return bytes;
}
inline UnsignedBytes repeat_four(const uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
inline void store_sums(const ByteSums& sums, int32_t* p) {
  std::memcpy(p, sums.value, sizeof sums.value);
}
inline ByteSums add_products(const UnsignedBytes& u, const SignedBytes& s, ByteSums sums) {
  for (int i = 0; i < kByteVectorSize; ++i) sums.value[i / 4] += u.value[i % 4] * s.value[i];
  return sums;
}

#else

constexpr int kByteVectorSize = HWY_MAX_BYTES;
using D8 = hwy::HWY_NAMESPACE::ScalableTag<int8_t>;
using DU8 = hwy::HWY_NAMESPACE::ScalableTag<uint8_t>;
using D32 = hwy::HWY_NAMESPACE::ScalableTag<int32_t>;
using SignedBytes = hwy::HWY_NAMESPACE::Vec<D8>;
using UnsignedBytes = hwy::HWY_NAMESPACE::Vec<DU8>;
using ByteSums = hwy::HWY_NAMESPACE::Vec<D32>;

HWY_INLINE ByteSums zero_sums() { return hwy::HWY_NAMESPACE::Zero(D32()); }
HWY_INLINE SignedBytes load_bytes(const int8_t* p) { return hwy::HWY_NAMESPACE::LoadU(D8(), p); }
HWY_INLINE UnsignedBytes repeat_four(const uint8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  return hwy::HWY_NAMESPACE::BitCast(DU8(), hwy::HWY_NAMESPACE::Set(D32(), four));
}
HWY_INLINE void store_sums(ByteSums sums, int32_t* p) {
  hwy::HWY_NAMESPACE::StoreU(sums, D32(), p);
}

// Two neighbouring products are added in 16 bits: with u at most 127 nothing saturates.
// (Highway 1.0 lacks pmaddubsw.)
HWY_INLINE ByteSums add_products(UnsignedBytes u, SignedBytes s, ByteSums sums) {
#if HWY_TARGET == HWY_AVX3
  const __m512i pairs = _mm512_maddubs_epi16(u.raw, s.raw);
  return ByteSums{_mm512_add_epi32(sums.raw, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
#elif HWY_TARGET == HWY_AVX2
  const __m256i pairs = _mm256_maddubs_epi16(u.raw, s.raw);
  return ByteSums{_mm256_add_epi32(sums.raw, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
#else
  const __m128i pairs = _mm_maddubs_epi16(u.raw, s.raw);
  return ByteSums{_mm_add_epi32(sums.raw, _mm_madd_epi16(pairs, _mm_set1_epi16(1)))};
#endif
}

#endif

// 64 integers in [0, 255], in vectors of as many as fit, as bytes in their order.
template <class V>
HWY_INLINE void store_as_bytes(const V* v, uint8_t* out) {
#if HWY_TARGET == HWY_AVX3
  // Within each quarter: 4 of each of the four vectors.
  const __m512i bytes = _mm512_packus_epi16(_mm512_packus_epi32(v[0].raw, v[1].raw),
                                            _mm512_packus_epi32(v[2].raw, v[3].raw));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, bytes));
#elif HWY_TARGET == HWY_AVX2
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (int i = 0; i < 2; ++i, v += 4) {  // within each half: 4 of each of four vectors
    const __m256i bytes = _mm256_packus_epi16(_mm256_packus_epi32(v[0].raw, v[1].raw),
                                              _mm256_packus_epi32(v[2].raw, v[3].raw));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * i),
                        _mm256_permutevar8x32_epi32(bytes, order));
  }
#else
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::CappedTag<int32_t, 16> d32;
  const hn::Rebind<uint8_t, decltype(d32)> d8;
  const auto lanes = static_cast<int>(hn::Lanes(d32));
  for (int i = 0; i < 64 / lanes; ++i) hn::StoreU(hn::DemoteTo(d8, v[i]), d8, out + i * lanes);
#endif
}

constexpr int kByteVectors = 64 / kByteVectorSize;  // in 16 outputs x 4 inputs

// sums[r * sums_stride + p * 16 + n] = sum over k of q[r][k] * w[p][k][n], for R rows and P panels;
// exact.
template <int R, int P>
HWY_INLINE void byte_tile(const uint8_t* q, int64_t stride, const int8_t* w, int64_t inputs,
                          int32_t* sums, int64_t sums_stride) {
  const int64_t panel_size = kPanel * inputs;
  ByteSums sum[R][P][kByteVectors];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kByteVectors; ++v) sum[r][p][v] = zero_sums();
    }
  }
  for (int64_t k = 0; k < inputs; k += 4) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      SignedBytes weights[kByteVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kByteVectors; ++v)
        weights[v] = load_bytes(w + p * panel_size + k * kPanel + v * kByteVectorSize);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const UnsignedBytes four = repeat_four(q + r * stride + k);
#pragma GCC unroll 16
        for (int v = 0; v < kByteVectors; ++v)
          sum[r][p][v] = add_products(four, weights[v], sum[r][p][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
      for (int v = 0; v < kByteVectors; ++v)
        store_sums(sum[r][p][v], sums + r * sums_stride + p * kPanel + v * kByteVectorSize / 4);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#endif  // toggle
