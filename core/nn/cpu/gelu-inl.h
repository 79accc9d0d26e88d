// gelu(x) = x * Phi(x) for one vector, inside a Highway target's namespace.
#if defined(PARLEY_NN_GELU_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PARLEY_NN_GELU_INL_H_
#undef PARLEY_NN_GELU_INL_H_
#else
#define PARLEY_NN_GELU_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

// Phi(x) - 1/2 = x Q(x^2), with Q a polynomial of degree 12 in t = 2 (x / 5)^2 - 1 for |x| <= 5
// (least squares over Chebyshev points of the error of x^2 Q) and Phi constant beyond. Absolute
// error of the result below 1.5e-6; no division, no exp.
template <class D, class V>
HWY_INLINE V gelu(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  constexpr float kQ[] = {0.14136378f,   -0.070296355f, 0.051521037f,  -0.040440924f,
                          0.031435322f,  -0.02327942f,  0.016434994f,  -0.011136664f,
                          0.0063403035f, -0.002716318f, 0.0017913486f, -0.0016009705f,
                          0.00058383006f};
  const auto bounded = hn::Max(hn::Min(x, hn::Set(d, 5.f)), hn::Set(d, -5.f));
  const auto t = hn::MulSub(hn::Mul(bounded, bounded), hn::Set(d, 0.08f), hn::Set(d, 1.f));
  auto q = hn::Set(d, kQ[12]);
  for (int i = 11; i >= 0; --i) q = hn::MulAdd(q, t, hn::Set(d, kQ[i]));
  return hn::Mul(x, hn::MulAdd(bounded, q, hn::Set(d, 0.5f)));
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#endif
