#include "parley/decoder/kv_attention.h"

#include <algorithm>
#include <vector>

#include "parley/core/nn/linear.h"

namespace parley::decoder {

using nn::Tensor;

nn::Tensor attend_to_self(nn::Context& ctx, KvState& state, const CacheShape& cache, int64_t layer,
                          std::span<const SlotPosition> rows, const Tensor& qkv) {
  const int64_t heads = cache.heads;
  const int64_t head_dim = cache.head_dim;
  const int64_t d_model = heads * head_dim;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto [slot, position] = rows[i];
    const float* k = qkv.row(static_cast<int64_t>(i)) + d_model;
    for (int64_t head = 0; head < heads; ++head) {
      const nn::Segment segment =
          state.segment(slot, position / KvState::kBlock, layer, head, KvState::kBlock);
      nn::store_position(segment, position % KvState::kBlock, head_dim, cache.f16,
                         k + head * head_dim, k + d_model + head * head_dim);
    }
  }
  std::vector<std::vector<nn::Segment>> segments(rows.size());
  std::vector<int64_t> indices(rows.size());
  std::vector<nn::AttentionGroup> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t length = rows[i].position + 1;
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t begin = 0; begin < length; begin += KvState::kBlock) {
        segments[i].push_back(state.segment(rows[i].slot, begin / KvState::kBlock, layer, head,
                                            std::min(KvState::kBlock, length - begin)));
      }
    }
    indices[i] = static_cast<int64_t>(i);
    groups.push_back({std::span(indices).subspan(i, 1), segments[i]});
  }
  const Tensor out = ctx.allocate({qkv.rows(), d_model});
  nn::cached_attention(ctx,
                       Tensor(qkv.data, {qkv.rows(), d_model}, nn::DType::kF32, qkv.row_stride),
                       heads, groups, cache.f16, out);
  return out;
}

std::shared_ptr<const CrossState> listen(
    nn::Context& ctx, const CacheShape& cache, const nn::Tensor& features,
    const std::function<const nn::Weight&(int64_t layer)>& cross_kv) {
  const int64_t positions = features.rows();
  auto state = std::make_shared<CrossState>(cache, positions);
  for (int64_t layer = 0; layer < cache.layers; ++layer) {
    ctx.throw_if_stopped();
    const nn::Scope scope(ctx);
    const nn::Weight& weight = cross_kv(layer);
    const nn::Tensor kv = ctx.allocate({positions, weight.outputs()});
    nn::linear(ctx, weight, features, {.out = kv});
    nn::store_positions(ctx, state->segments(layer), cache.heads, cache.f16, kv);
  }
  return state;
}

}  // namespace parley::decoder
