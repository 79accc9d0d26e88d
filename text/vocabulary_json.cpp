// Hugging Face's forms of a byte-level BPE vocabulary: tokenizer.json and the older set of files.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "text/byte_level.h"
#include "text/special_tokens.h"
#include "text/vocabulary.h"

namespace parley::text {

namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{16} << 20;  // the largest published tokenizer.json has 4 MB

struct AddedToken {
  int64_t id;
  std::string content;
  bool special;
};

using MergeNames = std::vector<std::pair<std::string, std::string>>;

json parse(std::string_view text, const std::string& where) {
  if (text.size() > kMaxFileBytes) throw Error(where, "is too long for a tokenizer");
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    throw Error(where, std::string("is not JSON: ") + error.what());
  }
}

json read_json(const std::filesystem::path& path) {
  return parse(read_file(path, kMaxFileBytes), path.string());
}

// The member of an object; null when it is missing.
const json& member(const json& object, const char* name, const std::string& where) {
  static const json kNull;
  if (!object.is_object()) throw Error(where, std::string("no object around \"") + name + '"');
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

const std::string& string_of(const json& value, const char* name, const std::string& where) {
  if (!value.is_string()) throw Error(where, std::string(name) + " is not a string");
  return value.get_ref<const std::string&>();
}

int64_t id_of(const json& value, const std::string& where) {
  if (!value.is_number_integer()) throw Error(where, "a token id is not an integer");
  return value
      .get<int64_t>();  // an unsigned number that does not fit becomes negative: out of range
}

bool bool_of(const json& value, bool missing, const char* name, const std::string& where) {
  if (value.is_null()) return missing;
  if (!value.is_boolean()) throw Error(where, std::string(name) + " is not true or false");
  return value.get<bool>();
}

const json& object_of(const json& value, const char* name, const std::string& where) {
  if (!value.is_object()) throw Error(where, std::string(name) + " is not an object");
  return value;
}

const json& array_of(const json& value, const char* name, const std::string& where) {
  if (!value.is_array()) throw Error(where, std::string(name) + " is not a list");
  return value;
}

// Enters everything; `vocab` maps tokens in the byte-level alphabet (and names of special tokens)
// to ids.
Vocabulary make_vocabulary(const json& vocab, const MergeNames& merges,
                           const std::vector<AddedToken>& added_tokens, const std::string& where) {
  Vocabulary vocabulary;
  std::map<std::string_view, int64_t> added_ids;
  for (const AddedToken& token : added_tokens) {
    if (token.content.empty()) continue;  // a placeholder
    const bool special = token.special || is_whisper_special(token.content);
    vocabulary.set(token.id, special ? TokenKind::kSpecial : TokenKind::kText, token.content,
                   where);
    if (added_ids.emplace(token.content, token.id).first->second != token.id) {
      throw Error(where, "two ids for the added token \"" + token.content + '"');
    }
  }
  std::unordered_map<std::string_view, int32_t> ids;
  for (const auto& [name, value] : object_of(vocab, "the vocabulary", where).items()) {
    const int64_t id = id_of(value, where);
    const auto added = added_ids.find(name);
    if (added != added_ids.end() && added->second == id) continue;
    if (added != added_ids.end()) throw Error(where, "two ids for the token \"" + name + '"');
    if (is_whisper_special(name)) {
      vocabulary.set(id, TokenKind::kSpecial, name, where);
      continue;
    }
    std::optional<std::string> bytes = from_byte_level(name);
    if (!bytes) {
      throw Error(where, "token " + std::to_string(id) + " is not in the byte-level alphabet",
                  "only byte-level BPE is supported");
    }
    const TokenKind kind = bytes->empty() ? TokenKind::kAbsent : TokenKind::kOrdinary;
    vocabulary.set(id, kind, *std::move(bytes), where);
    ids.emplace(name, static_cast<int32_t>(id));
  }
  const auto id_by_name = [&](const std::string& name) {
    const auto found = ids.find(name);
    if (found != ids.end()) return found->second;
    throw Error(where, "a merge uses \"" + name + "\", which is not in the vocabulary");
  };
  vocabulary.merges.reserve(merges.size());
  for (const auto& [left, right] : merges) {
    vocabulary.merges.push_back({id_by_name(left), id_by_name(right), id_by_name(left + right)});
  }
  return vocabulary;
}

// "a b"
std::pair<std::string, std::string> split_merge(std::string_view line, const std::string& where) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    throw Error(where, "a merge is not two tokens: \"" + std::string(line.substr(0, 80)) + '"');
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

MergeNames merges_of(const json& list, const std::string& where) {
  MergeNames merges;
  for (const json& merge : array_of(list, "merges", where)) {
    if (merge.is_array() && merge.size() == 2) {
      merges.emplace_back(string_of(merge[0], "a merge", where),
                          string_of(merge[1], "a merge", where));
    } else {
      merges.push_back(split_merge(string_of(merge, "a merge", where), where));
    }
  }
  return merges;
}

MergeNames read_merges(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  MergeNames merges;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1);
    std::string_view line = rest.substr(0, end + 1);
    rest.remove_prefix(line.size());
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    merges.push_back(split_merge(line, path.string()));
  }
  return merges;
}

AddedToken added_token(const json& entry, int64_t id, const std::string& where) {
  return {id, string_of(member(entry, "content", where), "an added token", where),
          bool_of(member(entry, "special", where), false, "special", where)};
}

// Refuses what this tokenizer does not do, so that nothing in the file is silently ignored.
void check_pipeline(const json& root, const json& model, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    throw Error(where, what, "only byte-level BPE as in Whisper is supported");
  };
  const json& type = member(model, "type", where);
  if (!type.is_null() && type != "BPE") refuse("the model is not BPE");
  const json& dropout = member(model, "dropout", where);
  if (!dropout.is_null() && dropout != 0) refuse("the model has dropout");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = member(model, affix, where);
    if (!value.is_null() && value != "") refuse(std::string("the model has a ") + affix);
  }
  if (!member(root, "normalizer", where).is_null()) refuse("the tokenizer has a normalizer");
  const json& splitter = member(root, "pre_tokenizer", where);
  if (!splitter.is_object() || member(splitter, "type", where) != "ByteLevel" ||
      bool_of(member(splitter, "add_prefix_space", where), true, "add_prefix_space", where) ||
      !bool_of(member(splitter, "use_regex", where), true, "use_regex", where)) {
    refuse("the pre-tokenizer is not ByteLevel without prefix space");
  }
}

// The contents named in special_tokens_map.json, whatever their roles.
std::set<std::string> special_names(const json& map, const std::string& where) {
  std::set<std::string> names;
  const auto add = [&](const json& value) {
    names.insert(string_of(value.is_object() ? member(value, "content", where) : value,
                           "a special token", where));
  };
  for (const json& value : object_of(map, "the document", where)) {
    if (value.is_array()) {
      for (const json& element : value) add(element);
    } else {
      add(value);
    }
  }
  return names;
}

std::vector<AddedToken> read_added_tokens(const std::filesystem::path& folder) {
  std::vector<AddedToken> added;
  if (const auto path = folder / "added_tokens.json"; std::filesystem::exists(path)) {
    std::set<std::string> special;
    if (const auto map = folder / "special_tokens_map.json"; std::filesystem::exists(map)) {
      special = special_names(read_json(map), map.string());
    }
    const json tokens = read_json(path);
    for (const auto& [name, id] : object_of(tokens, "the document", path.string()).items()) {
      added.push_back({id_of(id, path.string()), name, special.contains(name)});
    }
  }
  if (const auto path = folder / "tokenizer_config.json"; std::filesystem::exists(path)) {
    const json config = read_json(path);
    const std::string where = path.string();
    const json& decoder = member(config, "added_tokens_decoder", where);
    if (decoder.is_null()) return added;
    std::set<int64_t> known;
    for (const AddedToken& token : added) known.insert(token.id);
    for (const auto& [key, entry] : object_of(decoder, "added_tokens_decoder", where).items()) {
      if (key.empty() || key.size() > 7 ||
          key.find_first_not_of("0123456789") != std::string::npos) {
        throw Error(where, "a key of added_tokens_decoder is not a token id");
      }
      const AddedToken token = added_token(entry, std::stoi(key), where);
      if (!known.contains(token.id)) added.push_back(token);
    }
  }
  return added;
}

}  // namespace

Vocabulary vocabulary_from_tokenizer_json(std::string_view text, const std::string& where) {
  const json root = parse(text, where);
  const json& model = member(root, "model", where);
  check_pipeline(root, model, where);
  std::vector<AddedToken> added;
  if (const json& tokens = member(root, "added_tokens", where); !tokens.is_null()) {
    for (const json& entry : array_of(tokens, "added_tokens", where)) {
      added.push_back(added_token(entry, id_of(member(entry, "id", where), where), where));
    }
  }
  Vocabulary vocabulary =
      make_vocabulary(member(model, "vocab", where),
                      merges_of(member(model, "merges", where), where), added, where);
  vocabulary.ignore_merges =
      bool_of(member(model, "ignore_merges", where), false, "ignore_merges", where);
  return vocabulary;
}

Vocabulary vocabulary_from_folder(const std::filesystem::path& folder) {
  const json vocab = read_json(folder / "vocab.json");
  return make_vocabulary(vocab, read_merges(folder / "merges.txt"), read_added_tokens(folder),
                         folder.string());
}

namespace {

std::string json_string(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
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
    const std::string left = to_byte_level(vocabulary.tokens[static_cast<size_t>(merge.left)].text);
    const std::string right =
        to_byte_level(vocabulary.tokens[static_cast<size_t>(merge.right)].text);
    append_entry(list, json_string(left + ' ' + right), ",");
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
