#include "parley/decoder/kv_state.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/nn/cpu/isa.h"

namespace parley::decoder {

CacheShape cache_shape(const std::string& where, nn::Precision precision, int64_t layers,
                       int64_t width, int64_t heads, int64_t max_positions) {
  if (width % heads != 0 || width / heads % 16 != 0) {
    throw Error(where, "a width of " + std::to_string(width) + " does not give its " +
                           std::to_string(heads) + " heads a multiple of 16 dimensions each");
  }
  return {.layers = layers,
          .heads = heads,
          .head_dim = width / heads,
          .max_positions = max_positions,
          .f16 = precision != nn::Precision::kF32 && nn::isa() >= nn::Isa::kAvx2};
}

CrossState::CrossState(const CacheShape& shape, int64_t positions)
    : positions_(positions),
      per_layer_(static_cast<size_t>(shape.heads * ((positions + kSegment - 1) / kSegment))) {
  const size_t part = static_cast<size_t>(kSegment * shape.head_dim) * shape.element();
  memory_ = nn::Buffer(part * 2 * per_layer_ * static_cast<size_t>(shape.layers));
  std::byte* next = memory_.data();
  for (int64_t i = 0; i < shape.layers * shape.heads; ++i) {
    for (int64_t begin = 0; begin < positions; begin += kSegment, next += 2 * part) {
      segments_.push_back({next, next + part, std::min(kSegment, positions - begin), kSegment});
    }
  }
}

KvState::KvState(const CacheShape& shape, int slots)
    : shape_(shape),
      block_bytes_(static_cast<size_t>(shape.layers * shape.heads * 2 * kBlock * shape.head_dim) *
                   shape.element()),
      slots_(static_cast<size_t>(slots)) {}

void KvState::reset(int slot, std::shared_ptr<const CrossState> cross) {
  truncate(slot, 0);
  slots_.at(static_cast<size_t>(slot)).cross = std::move(cross);
}

void KvState::truncate(int slot, int64_t length) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  assert(length <= s.length);
  s.length = length;
  const auto needed = static_cast<size_t>((length + kBlock - 1) / kBlock);
  while (s.blocks.size() > needed) {
    drop_block(s.blocks.back());
    s.blocks.pop_back();
  }
}

void KvState::fork(int from, int to) {
  if (from == to) return;
  const Slot source = at(from);
  for (const int block : source.blocks) ++blocks_[static_cast<size_t>(block)].users;
  truncate(to, 0);
  slots_.at(static_cast<size_t>(to)) = source;
}

void KvState::extend(int slot, int64_t count) {
  Slot& s = slots_.at(static_cast<size_t>(slot));
  if (s.length + count > shape_.max_positions) {
    throw Error("", "a sequence of " + std::to_string(s.length + count) +
                        " tokens is longer than the decoder's " +
                        std::to_string(shape_.max_positions));
  }
  if (s.length % kBlock != 0 &&
      blocks_[static_cast<size_t>(s.blocks.back())].users > 1) {  // shared: write to a copy
    const int copy = take_block();
    std::memcpy(blocks_[static_cast<size_t>(copy)].memory.data(),
                blocks_[static_cast<size_t>(s.blocks.back())].memory.data(), block_bytes_);
    drop_block(s.blocks.back());
    s.blocks.back() = copy;
  }
  s.length += count;
  while (static_cast<int64_t>(s.blocks.size()) * kBlock < s.length)
    s.blocks.push_back(take_block());
}

nn::Segment KvState::segment(int slot, int64_t block, int64_t layer, int64_t head,
                             int64_t count) const {
  const std::byte* memory =
      blocks_[static_cast<size_t>(at(slot).blocks[static_cast<size_t>(block)])].memory.data();
  const size_t part = static_cast<size_t>(kBlock * shape_.head_dim) * shape_.element();
  const std::byte* keys = memory + static_cast<size_t>(layer * shape_.heads + head) * 2 * part;
  return {keys, keys + part, count, kBlock};
}

int KvState::take_block() {
  if (free_.empty()) {
    free_.push_back(static_cast<int>(blocks_.size()));
    blocks_.push_back({.memory = nn::Buffer(block_bytes_)});
  }
  const int block = free_.back();
  free_.pop_back();
  blocks_[static_cast<size_t>(block)].users = 1;
  return block;
}

void KvState::drop_block(int block) {
  if (--blocks_[static_cast<size_t>(block)].users == 0) free_.push_back(block);
}

}  // namespace parley::decoder
