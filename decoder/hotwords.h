// Words that are likelier than the model thinks: a trie of their tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "parley/text/tokenizer/tokenizer.h"

namespace parley::decoder {

// Phrases begin where a word begins, with a space, and end where it ends, unless their script
// writes no spaces. Where a sequence stands among them is a node; it begins at kRoot. What becomes
// of the gain is Search's business.
class Hotwords {
 public:
  static constexpr int kRoot = 0;

  // phrases: as written, in UTF-8; also taken with a capital first letter. Empty ones are left out.
  // boost: in units of log-probability. Throws Error for more than kMaxPhrases phrases or one
  // longer than kMaxBytes.
  Hotwords(const text::Tokenizer& tokenizer, std::span<const std::string> phrases, float boost);
  static constexpr size_t kMaxPhrases = 10000;
  static constexpr size_t kMaxBytes = 256;

  bool empty() const { return nodes_[kRoot].children.empty(); }
  // Tokens that go on from the node, and where they lead; from kRoot those that begin a phrase.
  const std::map<int32_t, int>& next(int node) const { return at(node).children; }
  bool complete(int node) const { return at(node).complete; }  // a phrase may end here
  // A phrase ends at the node, and does not only begin a longer word that goes on with this token.
  bool ends_before(int node, int32_t token) const;
  // What a token of a phrase gains: the boost, but no token becomes likelier than certain. So a
  // phrase of many tokens has no more than its rightful place.
  float gain(float logprob) const { return std::min(boost_, -logprob); }

 private:
  struct Node {
    std::map<int32_t, int> children = {};
    bool complete = false;
    bool spaced = true;  // its script separates words
  };
  const Node& at(int node) const { return nodes_[static_cast<size_t>(node)]; }
  void add(std::span<const int32_t> tokens, bool spaced);

  float boost_;
  std::vector<bool> within_word_;  // by token: it goes on with a word
  std::vector<Node> nodes_;
};

// How many of the tokens are left when the text ends with some of them repeated over and over and
// all copies but the first go; all of them otherwise. Over and over: at least 4 copies, together at
// least 40 tokens. Timestamps, the ids from timestamp_begin on, do not count.
size_t without_loop(std::span<const int32_t> tokens, int32_t timestamp_begin);

inline bool ends_in_loop(std::span<const int32_t> tokens, int32_t timestamp_begin) {
  return without_loop(tokens, timestamp_begin) < tokens.size();
}

}  // namespace parley::decoder
