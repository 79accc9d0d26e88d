// Words that are likelier than the model thinks: a trie of their tokens that raises logits.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace parley::decoder {

// Every token that begins or continues a phrase gets `boost` added to its logit. A beam keeps what
// it gained when a phrase is complete, and loses it when the phrase is left before (as the
// contextual biasing of icefall and sherpa-onnx). Where a sequence stands is a node; it begins at
// kRoot.
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

  // Raises the logits of tokens that begin or continue a phrase; -inf stays.
  void raise(int node, std::span<float> logits) const;
  // By how much raise() raises that of one token.
  float raised(int node, int32_t token) const;

  struct Step {
    int node;    // where the sequence stands after the token
    float gain;  // what it gains by it, or loses
  };
  Step advance(int node, int32_t token) const;

 private:
  struct Node {
    std::map<int32_t, int> children = {};
    bool complete = false;  // a phrase ends here
    int open = 0;           // tokens since the last complete phrase on the way here
  };
  void add(std::span<const int32_t> tokens);
  void count_open();
  const int* child(int node, int32_t token) const;

  float boost_;
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
