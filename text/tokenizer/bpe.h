// Byte-pair encoding: joins neighbouring symbols, the earliest learned pair first.
// Sennrich et al. 2016 (arXiv:1508.07909); bytes instead of characters as in GPT-2 (Radford et al.
// 2019).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace parley::text {

// Token ids, all of them at least 0: `left` followed by `right` becomes `result`.
struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

class Bpe {
 public:
  void reserve(size_t merges) { merges_.reserve(merges); }

  // Adds a merge that ranks after all before it. A pair that is already there gets the new rank.
  void add(Merge merge);

  // Joins the symbols of one pre-token in place: always the pair of the lowest rank, the leftmost
  // of equals, until none is left. O(n log n), so that megabytes without a space are no trap.
  void merge(std::vector<int32_t>& symbols) const;

 private:
  struct Rule {
    int32_t rank;
    int32_t result;
  };
  const Rule* find(int32_t left, int32_t right) const;

  std::unordered_map<uint64_t, Rule> merges_;  // by left << 32 | right
  int32_t next_rank_ = 0;
};

}  // namespace parley::text
