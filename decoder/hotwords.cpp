#include "decoder/hotwords.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace parley::decoder {

namespace {

constexpr char32_t kFirstWithoutSpaces = 0x0E00;  // Thai and what follows: scripts without spaces

std::string capitalized(std::string word) {
  if (!word.empty() && word[0] >= 'a' && word[0] <= 'z') word[0] = static_cast<char>(word[0] - 32);
  return word;
}

}  // namespace

Hotwords::Hotwords(const text::Tokenizer& tokenizer, std::span<const std::string> phrases,
                   float boost)
    : boost_(boost), nodes_(1) {
  if (phrases.size() > kMaxPhrases) {
    throw Error("hotwords", std::to_string(phrases.size()) + " are too many",
                "give at most " + std::to_string(kMaxPhrases));
  }
  for (const std::string& phrase : phrases) {
    const std::string bare(text::strip(phrase));
    if (bare.empty()) continue;
    if (bare.size() > kMaxBytes)
      throw Error("hotwords", "one is longer than " + std::to_string(kMaxBytes) + " bytes");
    for (const std::string& form : {bare, capitalized(bare)}) add(tokenizer.encode(" " + form));
    if (text::first_code_point(bare).value >= kFirstWithoutSpaces) add(tokenizer.encode(bare));
  }
  count_open();
}

void Hotwords::add(std::span<const int32_t> tokens) {
  int node = kRoot;
  for (const int32_t token : tokens) {
    const auto [found, added] = nodes_[static_cast<size_t>(node)].children.try_emplace(
        token, static_cast<int>(nodes_.size()));
    node = found->second;  // nodes_ may move below
    if (added) nodes_.emplace_back();
  }
  nodes_[static_cast<size_t>(node)].complete = true;
}

// How far each node is from the last complete phrase on the way to it.
void Hotwords::count_open() {
  std::vector<int> parents = {kRoot};
  while (!parents.empty()) {
    const Node& parent = nodes_[static_cast<size_t>(parents.back())];
    parents.pop_back();
    for (const auto& [token, index] : parent.children) {
      Node& child = nodes_[static_cast<size_t>(index)];
      child.open = child.complete ? 0 : parent.open + 1;
      parents.push_back(index);
    }
  }
}

const int* Hotwords::child(int node, int32_t token) const {
  const auto& children = nodes_[static_cast<size_t>(node)].children;
  const auto found = children.find(token);
  return found == children.end() ? nullptr : &found->second;
}

void Hotwords::raise(int node, std::span<float> logits) const {
  const auto raise_one = [&](int32_t token) {
    if (static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] += boost_;
  };
  for (const auto& [token, next] : nodes_[kRoot].children) raise_one(token);
  if (node == kRoot) return;
  for (const auto& [token, next] : nodes_[static_cast<size_t>(node)].children) {
    if (child(kRoot, token) == nullptr) raise_one(token);
  }
}

float Hotwords::raised(int node, int32_t token) const {
  return child(node, token) != nullptr || child(kRoot, token) != nullptr ? boost_ : 0;
}

Hotwords::Step Hotwords::advance(int node, int32_t token) const {
  if (const int* next = child(node, token)) {
    return {nodes_[static_cast<size_t>(*next)].children.empty() ? kRoot : *next, boost_};
  }
  const float lost = boost_ * static_cast<float>(nodes_[static_cast<size_t>(node)].open);
  if (node == kRoot) return {kRoot, -lost};
  const Step again = advance(kRoot, token);
  return {again.node, again.gain - lost};
}

size_t without_loop(std::span<const int32_t> tokens, int32_t timestamp_begin) {
  constexpr size_t kCopies = 4;
  constexpr size_t kTokens = 40;
  std::vector<int32_t> text;
  std::vector<size_t> places;  // of the text's tokens
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= timestamp_begin) continue;
    text.push_back(tokens[i]);
    places.push_back(i);
  }
  for (size_t period = 1; period * kCopies <= text.size(); ++period) {
    // All but the first copy equal the token one period before.
    const size_t copies = std::max(kCopies, (kTokens + period - 1) / period);
    const size_t repeated = (copies - 1) * period;
    if (repeated + period > text.size()) continue;
    const auto tail = text.end() - static_cast<std::ptrdiff_t>(repeated);
    if (std::equal(tail, text.end(), tail - static_cast<std::ptrdiff_t>(period)))
      return places[text.size() - repeated];
  }
  return tokens.size();
}

}  // namespace parley::decoder
