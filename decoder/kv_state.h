// The state of token decoding: keys and values of what each sequence has said, and of what it
// hears.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "parley/core/nn/attention.h"
#include "parley/core/nn/precision.h"
#include "parley/core/nn/tensor.h"

namespace parley::decoder {

// The sizes that a decoder's caches have.
struct CacheShape {
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t max_positions = 0;  // tokens in one sequence
  bool f16 = false;           // elements are f16, else f32

  size_t element() const { return f16 ? 2 : 4; }
};

// Of a decoder that is `width` wide: f16 where the precision allows it and the CPU converts
// quickly. Throws Error named by `where` unless every head gets a multiple of 16 dimensions.
CacheShape cache_shape(const std::string& where, nn::Precision precision, int64_t layers,
                       int64_t width, int64_t heads, int64_t max_positions);

// Keys and values of one window's features for every layer's cross-attention. Computed once, then
// shared by all sequences that listen to the window.
class CrossState {
 public:
  // Positions lie in pieces that are read from end to end: few enough that memory is read in order,
  // enough to fill the vectors of one row's attention.
  static constexpr int64_t kSegment = 128;

  CrossState(const CacheShape& shape, int64_t positions);

  // The segments of a layer: those of head 0, then of head 1, ...
  std::span<const nn::Segment> segments(int64_t layer) const {
    return std::span(segments_).subspan(static_cast<size_t>(layer) * per_layer_, per_layer_);
  }
  int64_t positions() const { return positions_; }
  size_t bytes() const { return memory_.size(); }

 private:
  int64_t positions_;
  size_t per_layer_;
  nn::Buffer memory_;
  std::vector<nn::Segment> segments_;  // [layers][heads][pieces]
};

// Slots of self-attention keys and values, one for each sequence being decoded. Positions lie in
// blocks of 32 that forked sequences share until one of them writes. Belongs to one thread at a
// time.
class KvState {
 public:
  static constexpr int64_t kBlock = 32;

  KvState(const CacheShape& shape, int slots);

  int slots() const { return static_cast<int>(slots_.size()); }
  int64_t length(int slot) const { return at(slot).length; }  // tokens seen
  int64_t max_length() const { return shape_.max_positions; }
  const std::shared_ptr<const CrossState>& cross(int slot) const { return at(slot).cross; }

  // The slot forgets everything and listens to `cross`.
  void reset(int slot, std::shared_ptr<const CrossState> cross);
  // The slot forgets what came after its first `length` tokens.
  void truncate(int slot, int64_t length);
  // Slot `to` becomes a copy of `from`: blocks are shared, nothing is copied until one of them
  // writes.
  void fork(int from, int to);

  // Makes room for `count` more tokens in the slot, in blocks of its own; their keys and values are
  // then stored through segment(). Throws Error beyond max_length().
  void extend(int slot, int64_t count);
  // The part of block `block` of a slot that belongs to a layer and head, `count` positions of it
  // in use.
  nn::Segment segment(int slot, int64_t block, int64_t layer, int64_t head, int64_t count) const;

  size_t bytes() const {
    return blocks_.size() * block_bytes_;
  }  // of all blocks, those in reserve included

 private:
  struct Block {
    nn::Buffer memory;  // [layers][heads][keys [head_dim][32], values [32][head_dim]]
    int users = 0;
  };
  struct Slot {
    int64_t length = 0;
    std::vector<int> blocks;
    std::shared_ptr<const CrossState> cross;
  };

  const Slot& at(int slot) const { return slots_.at(static_cast<size_t>(slot)); }
  int take_block();
  void drop_block(int block);

  CacheShape shape_;
  size_t block_bytes_;
  std::vector<Block> blocks_;
  std::vector<int> free_;
  std::vector<Slot> slots_;
};

}  // namespace parley::decoder
