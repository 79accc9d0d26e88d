// Stores of bf16 values, inside a Highway target's namespace.
#if defined(PARLEY_NN_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PARLEY_NN_BF16_INL_H_
#undef PARLEY_NN_BF16_INL_H_
#else
#define PARLEY_NN_BF16_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

// Rounds to nearest, ties to even (no NaN comes this way).
template <class D, class V>
HWY_INLINE void store_bf16(D /*d*/, V value, uint16_t* out) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::Rebind<uint32_t, D> d32;
  const hn::Rebind<uint16_t, D> d16;
  const auto bits = hn::BitCast(d32, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d32, 0x7fff)), odd));
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(hn::RebindToSigned<decltype(d32)>(), rounded)), d16,
             out);
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#endif
