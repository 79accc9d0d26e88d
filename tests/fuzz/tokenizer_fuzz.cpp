// Vocabularies from outside: whatever loads must encode and decode without harm; what does not
// throws Error.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "parley/core/base/error.h"
#include "parley/text/scoring/word_tokens.h"
#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/tokenizer.h"
#include "parley/text/utf8.h"

namespace {

using nlohmann::json;
using parley::text::Tokenizer;

// The smallest valid tokenizer.json: bytes, two merges, the special tokens that must be there.
json smallest() {
  json vocab;
  int id = 0;
  for (const uint8_t byte : parley::text::byte_level_order()) {
    vocab[parley::text::to_byte_level(std::string(1, static_cast<char>(byte)))] = id++;
  }
  vocab["ab"] = id++;
  vocab["abc"] = id++;
  json added = json::array();
  for (const char* name :
       {"<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|notimestamps|>"}) {
    added.push_back({{"id", id++}, {"content", name}, {"special", true}});
  }
  return {{"added_tokens", added},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}}};
}

void require(bool condition) {
  if (!condition) std::abort();
}

void use(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  require(tokenizer.decode(ids) == parley::text::replace_invalid_utf8(text));
  size_t end = 0;
  for (const auto& word : parley::text::split_to_word_tokens(tokenizer, ids, "en")) {
    require(word.begin == end && word.end > end);
    end = word.end;
  }
  require(end == ids.size());
  for (const int32_t id : tokenizer.non_speech_tokens()) require(!tokenizer.bytes(id).empty());
}

void load(std::string_view document, std::string_view text) {
  std::optional<Tokenizer> tokenizer;
  try {
    tokenizer = Tokenizer::from_json(document, "fuzz");
  } catch (const parley::Error&) {
    return;
  }
  use(*tokenizer, text);
  const std::string written = tokenizer->to_tokenizer_json();
  const auto reloaded = Tokenizer::from_json(written, "written");
  require(reloaded.encode(text) == tokenizer->encode(text));
  require(reloaded.to_tokenizer_json() == written);
}

// One token a line after the 256 bytes.
void load_ranks(std::string_view text) {
  std::vector<std::string> tokens;
  for (const uint8_t byte : parley::text::byte_level_order())
    tokens.emplace_back(1, static_cast<char>(byte));
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    tokens.emplace_back(line);
  }
  std::optional<Tokenizer> tokenizer;
  try {
    const int size = static_cast<int>(tokens.size()) + 1608;
    tokenizer = Tokenizer::from_ranks(std::move(tokens), size, "fuzz");
  } catch (const parley::Error&) {
    return;
  }
  use(*tokenizer, text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const json kSmallest = smallest();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  load(input, input);
  load_ranks(input);
  // The same as a patch (RFC 7396) of a valid file reaches what random bytes never would.
  if (const json patch = json::parse(input, nullptr, false); patch.is_object()) {
    json document = kSmallest;
    document.merge_patch(patch);
    load(document.dump(), input);
  }
  return 0;
}
