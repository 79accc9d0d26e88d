// Attention of decoder rows over the state of their slots.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "parley/core/nn/attention.h"
#include "parley/core/nn/context.h"
#include "parley/core/nn/weight.h"
#include "parley/decoder/kv_state.h"

namespace parley::decoder {

// Where a row stands: the newest or an earlier position of a slot, for which the slot has room.
struct SlotPosition {
  int slot = 0;
  int64_t position = 0;
};

// Stores the rows' keys and values in a layer, then lets every row attend to its sequence up to
// itself.  qkv: f32 [rows, 3 d] -> [rows, d] in scratch.
nn::Tensor attend_to_self(nn::Context& ctx, KvState& state, const CacheShape& cache, int64_t layer,
                          std::span<const SlotPosition> rows, const nn::Tensor& qkv);

// The keys and values of what is listened to, for every layer.  features: f32 [positions, d];
// cross_kv: by layer, keys' rows above values' [2 d, d]. Throws Stopped between layers when asked
// to.
std::shared_ptr<const CrossState> listen(
    nn::Context& ctx, const CacheShape& cache, const nn::Tensor& features,
    const std::function<const nn::Weight&(int64_t layer)>& cross_kv);

}  // namespace parley::decoder
