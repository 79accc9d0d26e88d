#include "parley/text/tokenizer/bpe.h"

#include <queue>
#include <tuple>

namespace parley::text {

namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// A symbol in a doubly linked list laid over the positions it was born in.
struct Symbol {
  int32_t id;
  size_t previous;
  size_t next;
};

// A merge that was possible when it was queued; stale once either symbol changed.
struct Candidate {
  int32_t rank;
  size_t position;  // of the left symbol
  Merge merge;

  bool operator<(const Candidate& other) const {  // priority_queue gives the largest first
    return std::tie(rank, position) > std::tie(other.rank, other.position);
  }
};

}  // namespace

void Bpe::add(Merge merge) {
  merges_.insert_or_assign(pair_key(merge.left, merge.right), Rule{next_rank_++, merge.result});
}

const Bpe::Rule* Bpe::find(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::merge(std::vector<int32_t>& symbols) const {
  const size_t count = symbols.size();
  if (count < 2) return;
  std::vector<Symbol> list(count);
  for (size_t i = 0; i < count; ++i) {
    list[i] = {symbols[i], i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  }

  std::priority_queue<Candidate> queue;
  const auto consider = [&](size_t position) {
    if (position == kNone || list[position].next == kNone) return;
    const int32_t left = list[position].id;
    const int32_t right = list[list[position].next].id;
    if (const Rule* rule = find(left, right)) {
      queue.push({rule->rank, position, {left, right, rule->result}});
    }
  };
  for (size_t i = 0; i + 1 < count; ++i) consider(i);

  constexpr int32_t kGone = -1;
  while (!queue.empty()) {
    const auto [rank, position, merge] = queue.top();
    queue.pop();
    Symbol& left = list[position];
    if (left.id != merge.left || left.next == kNone || list[left.next].id != merge.right) continue;
    Symbol& right = list[left.next];
    left.id = merge.result;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kNone) list[left.next].previous = position;
    consider(left.previous);
    consider(position);
  }

  symbols.clear();
  for (size_t i = 0; i != kNone; i = list[i].next) symbols.push_back(list[i].id);
}

}  // namespace parley::text
