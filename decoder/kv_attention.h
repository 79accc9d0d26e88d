// Attention of decoder rows over the state of their slots.
#pragma once

#include <cstdint>
#include <span>

#include "decoder/kv_state.h"
#include "nn/attention.h"
#include "nn/context.h"

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

}  // namespace parley::decoder
