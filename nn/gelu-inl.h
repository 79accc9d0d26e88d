// gelu(x) = x * Phi(x) for one vector, inside a Highway target's namespace.
#if defined(PARLEY_NN_GELU_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PARLEY_NN_GELU_INL_H_
#undef PARLEY_NN_GELU_INL_H_
#else
#define PARLEY_NN_GELU_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

// The complementary error function by Abramowitz & Stegun 7.1.26 (absolute error below 1.5e-7):
// with t = 1 / (1 + p z), z = |x| / sqrt(2):  1 - erf(z) = (a1 t + ... + a5 t^5) exp(-z^2).
template <class D, class V>
HWY_INLINE V gelu(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const auto z = hn::Mul(hn::Abs(x), hn::Set(d, 0.70710678118654752f));
  const auto t = hn::Div(hn::Set(d, 1.f), hn::MulAdd(z, hn::Set(d, 0.3275911f), hn::Set(d, 1.f)));
  auto polynomial = hn::Set(d, 1.061405429f);
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, -1.453152027f));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, 1.421413741f));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, -0.284496736f));
  polynomial = hn::MulAdd(polynomial, t, hn::Set(d, 0.254829592f));
  const auto tail = hn::Mul(hn::Mul(polynomial, t), hn::Exp(d, hn::Neg(hn::Mul(z, z))));
  // Phi(x) = 1 - tail / 2 for x >= 0, tail / 2 below.
  const auto half = hn::Mul(tail, hn::Set(d, 0.5f));
  const auto phi = hn::IfThenElse(hn::Ge(x, hn::Zero(d)), hn::Sub(hn::Set(d, 1.f), half), half);
  return hn::Mul(x, phi);
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#endif
