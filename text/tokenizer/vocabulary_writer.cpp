// The canonical form of a vocabulary: tokenizer.json.
#include <nlohmann/json.hpp>
#include <string>

#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/special_tokens.h"
#include "parley/text/tokenizer/vocabulary.h"

namespace parley::text {

namespace {

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_name(const Token& token) {
  return json_string(token.kind == TokenKind::kOrdinary ? to_byte_level(token.text) : token.text);
}

void append_entry(std::string& list, std::string_view entry, std::string_view separator) {
  if (!list.empty()) list += separator;
  list += entry;
}

std::string added_tokens_json(const Vocabulary& vocabulary) {
  std::string list;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const Token& token = vocabulary.tokens[id];
    if (token.kind != TokenKind::kSpecial && token.kind != TokenKind::kText) continue;
    std::string entry = R"({"id":)" + std::to_string(id);
    entry.append(R"(,"content":)").append(json_name(token));
    entry += R"(,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":)";
    // Hugging Face marks Whisper's timestamps as added but not special.
    entry +=
        token.kind == TokenKind::kSpecial && !is_timestamp_name(token.text) ? "true}" : "false}";
    append_entry(list, entry, ",\n");
  }
  return list;
}

// Added tokens are entered too: Hugging Face numbers them anew unless the model knows them.
std::string vocab_json(const Vocabulary& vocabulary) {
  std::string list;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const Token& token = vocabulary.tokens[id];
    if (token.kind == TokenKind::kAbsent) continue;
    append_entry(list, json_name(token).append(":").append(std::to_string(id)), ",");
  }
  return list;
}

std::string merges_json(const Vocabulary& vocabulary) {
  std::string list;
  for (const Merge& merge : vocabulary.merges) {
    std::string pair = to_byte_level(vocabulary.tokens[static_cast<size_t>(merge.left)].text);
    pair.append(" ").append(
        to_byte_level(vocabulary.tokens[static_cast<size_t>(merge.right)].text));
    append_entry(list, json_string(pair), ",");
  }
  return list;
}

}  // namespace

std::string to_tokenizer_json(const Vocabulary& vocabulary) {
  std::string text = R"({"version":"1.0","truncation":null,"padding":null,
"added_tokens":[)";
  text += added_tokens_json(vocabulary);
  text += R"(],
"normalizer":null,
"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
"post_processor":null,
"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":)";
  text += vocabulary.ignore_merges ? "true" : "false";
  text += ",\n\"vocab\":{";
  text += vocab_json(vocabulary);
  text += "},\n\"merges\":[";
  text += merges_json(vocabulary);
  text += "]}}\n";
  return text;
}

}  // namespace parley::text
