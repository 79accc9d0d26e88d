// The vector type of a panel, and what happens to a product before it is stored; included once for
// each target.
#if defined(PARLEY_NN_EPILOGUE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PARLEY_NN_EPILOGUE_INL_H_
#undef PARLEY_NN_EPILOGUE_INL_H_
#else
#define PARLEY_NN_EPILOGUE_INL_H_
#endif

#include <hwy/highway.h>

#include "parley/core/nn/cpu/gelu-inl.h"
#include "parley/core/nn/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace parley::nn::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, kPanel>;
constexpr int kLanes = HWY_TARGET == HWY_SCALAR ? 1 : HWY_MAX_BYTES / 4;
constexpr int kVectors = static_cast<int>(kPanel) / kLanes;  // vectors in a panel

// Bias, GELU, addition to the output, and the store of one vector of outputs, the last of which may
// be partial.
template <class V>
HWY_INLINE void finish(F32 d, V sum, const Epilogue& epilogue, int64_t column, int64_t outputs,
                       float* out) {
  if (epilogue.bias) sum = hn::Add(sum, hn::Load(d, epilogue.bias + column));
  if (epilogue.gelu) sum = gelu(d, sum);
  if (column + kLanes <= outputs) {
    if (epilogue.accumulate) sum = hn::Add(sum, hn::LoadU(d, out + column));
    hn::StoreU(sum, d, out + column);
  } else if (column < outputs) {
    HWY_ALIGN float lanes[kPanel] = {};
    hn::Store(sum, d, lanes);
    for (int64_t i = 0; i < outputs - column; ++i)
      out[column + i] = lanes[i] + (epilogue.accumulate ? out[column + i] : 0.f);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace parley::nn::kernels
HWY_AFTER_NAMESPACE();

#endif  // toggle
