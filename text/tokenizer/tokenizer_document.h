// tokenizer.json as it is read: the two long lists flat, in one pass, and the rest as JSON. A
// document tree of 100,000 little nodes would take most of the time that loading a model takes.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace parley::text {

inline constexpr size_t kMaxTokenizerBytes = size_t{16}
                                             << 20;  // the largest published one has 4 MB

using NamedIds = std::vector<std::pair<std::string, int64_t>>;

// NOLINTNEXTLINE(bugprone-exception-escape): moving JSON does not throw
struct TokenizerDocument {
  nlohmann::json rest;              // without model.vocab and model.merges
  NamedIds vocab;                   // in the order of the file
  std::vector<std::string> merges;  // "left right", also where the file has ["left", "right"]
};

// Throws Error naming `where` for what is no JSON, or has another type than it should.
TokenizerDocument read_tokenizer_document(std::string_view text, const std::string& where);

}  // namespace parley::text
