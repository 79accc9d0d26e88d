// Hugging Face's forms of a byte-level BPE vocabulary: tokenizer.json and the older set of files.
#include <algorithm>
#include <bit>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/special_name.h"
#include "parley/text/tokenizer/special_tokens.h"
#include "parley/text/tokenizer/tokenizer_document.h"
#include "parley/text/tokenizer/vocabulary.h"

namespace parley::text {

namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{4} << 20;  // of the older files; published ones have 1 MB

struct AddedToken {
  int64_t id;
  std::string content;
  bool special;
};

json read_json(const std::filesystem::path& path) {
  try {
    return json::parse(read_file(path, kMaxFileBytes));
  } catch (const json::exception& error) {
    throw Error(path.string(), std::string("is not JSON: ") + error.what());
  }
}

// The member of an object; null when it is missing.
const json& member(const json& object, const char* name, const std::string& where) {
  static const json missing;
  if (!object.is_object()) throw Error(where, std::string("no object around \"") + name + '"');
  const auto found = object.find(name);
  return found == object.end() ? missing : *found;
}

const std::string& string_of(const json& value, const char* name, const std::string& where) {
  if (!value.is_string()) throw Error(where, std::string(name) + " is not a string");
  return value.get_ref<const std::string&>();
}

int64_t id_of(const json& value, const std::string& where) {
  if (!value.is_number_integer()) throw Error(where, "a token id is not an integer");
  return value.get<int64_t>();  // one that does not fit becomes negative: out of range
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

void enter_added_tokens(Vocabulary& vocabulary, const std::vector<AddedToken>& added,
                        const std::string& where) {
  for (const AddedToken& token : added) {
    if (token.content.empty()) continue;  // a placeholder
    const bool special = token.special || is_whisper_special(token.content);
    vocabulary.set(token.id, special ? TokenKind::kSpecial : TokenKind::kText, token.content,
                   where);
  }
}

// Token ids by name: a table with open addressing, since reading a vocabulary is mostly looking up
// its 50,000 merges, three names each, and models are loaded to hear one command.
class IdsByName {
 public:
  explicit IdsByName(size_t names) : slots_(std::bit_ceil(2 * names + 1)) {}

  // The id that the name has had before, or the given one. The name's characters must outlive this.
  int32_t add(std::string_view name, int32_t id) {
    Slot& slot = slots_[place(name)];
    if (slot.id == kNoId) slot = {name, id};
    return slot.id;
  }
  std::optional<int32_t> find(std::string_view name) const {
    const Slot& slot = slots_[place(name)];
    return slot.id == kNoId ? std::nullopt : std::optional(slot.id);
  }

 private:
  static constexpr int32_t kNoId = -1;
  struct Slot {
    std::string_view name;
    int32_t id = kNoId;
  };

  // Where the name is, or would be: at most half of the slots are taken.
  size_t place(std::string_view name) const {
    const size_t mask = slots_.size() - 1;
    size_t i = std::hash<std::string_view>{}(name)&mask;
    while (slots_[i].id != kNoId && slots_[i].name != name) i = (i + 1) & mask;
    return i;
  }

  std::vector<Slot> slots_;
};

// Names are in the byte-level alphabet, except those of added and special tokens. Returns the ids
// of the ordinary ones.
IdsByName enter_tokens(Vocabulary& vocabulary, const NamedIds& tokens,
                       const std::vector<AddedToken>& added, const std::string& where) {
  std::unordered_map<std::string_view, int64_t> added_ids(added.size());
  for (const AddedToken& token : added) {
    const auto known = added_ids.emplace(token.content, token.id).first;
    if (known->second != token.id) throw Error(where, "two ids for the token " + token.content);
  }
  IdsByName ids(tokens.size());
  for (const auto& [name, id] : tokens) {
    const auto known = added_ids.find(name);
    if (known != added_ids.end()) {
      if (known->second != id) throw Error(where, "two ids for the token " + name);
      continue;
    }
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
    if (ids.add(name, static_cast<int32_t>(id)) != id)
      throw Error(where, "two ids for the token " + name);
  }
  return ids;
}

// Each merge is "left right".
void enter_merges(Vocabulary& vocabulary, const std::vector<std::string>& merges,
                  const IdsByName& ids, const std::string& where) {
  const auto id_by_name = [&](std::string_view name) {
    if (const std::optional<int32_t> id = ids.find(name)) return *id;
    throw Error(where,
                "a merge uses \"" + std::string(name) + "\", which is not in the vocabulary");
  };
  vocabulary.merges.reserve(merges.size());
  std::string joined;
  for (const std::string_view merge : merges) {
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos) {
      throw Error(where, "a merge is not two tokens: \"" + std::string(merge.substr(0, 80)) + '"');
    }
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(space + 1);
    joined.assign(left).append(right);
    vocabulary.merges.push_back({id_by_name(left), id_by_name(right), id_by_name(joined)});
  }
}

Vocabulary make_vocabulary(const NamedIds& tokens, const std::vector<std::string>& merges,
                           const std::vector<AddedToken>& added, const std::string& where) {
  Vocabulary vocabulary;
  enter_added_tokens(vocabulary, added, where);
  const IdsByName ids = enter_tokens(vocabulary, tokens, added, where);
  enter_merges(vocabulary, merges, ids, where);
  return vocabulary;
}

NamedIds read_vocab(const std::filesystem::path& path) {
  const json document = read_json(path);
  NamedIds tokens;
  for (const auto& [name, id] : object_of(document, "the document", path.string()).items()) {
    tokens.emplace_back(name, id_of(id, path.string()));
  }
  return tokens;
}

std::vector<std::string> read_merges(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  std::vector<std::string> merges;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with("#version")) merges.emplace_back(line);
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
    if (!value.is_null() && value != json("")) refuse(std::string("the model has a ") + affix);
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

bool file_exists(const std::filesystem::path& path) {
  std::error_code unreadable;
  return std::filesystem::exists(path, unreadable);
}

// {"<|en|>": 50259, ...}; which of them are special, another file says.
void read_added_tokens(const std::filesystem::path& folder, std::vector<AddedToken>& added) {
  const auto path = folder / "added_tokens.json";
  const auto map = folder / "special_tokens_map.json";
  if (!file_exists(path)) return;
  std::set<std::string> special;
  if (file_exists(map)) special = special_names(read_json(map), map.string());
  const json tokens = read_json(path);
  for (const auto& [name, id] : object_of(tokens, "the document", path.string()).items()) {
    added.push_back({id_of(id, path.string()), name, special.contains(name)});
  }
}

// {"added_tokens_decoder": {"50259": {"content": "<|en|>", "special": true}, ...}}
void read_tokenizer_config(const std::filesystem::path& folder, std::vector<AddedToken>& added) {
  const auto path = folder / "tokenizer_config.json";
  const std::string where = path.string();
  if (!file_exists(path)) return;
  const json config = read_json(path);
  const json& decoder = member(config, "added_tokens_decoder", where);
  if (decoder.is_null()) return;
  std::set<int64_t> known;  // from the other file
  for (const AddedToken& token : added) known.insert(token.id);
  for (const auto& [key, entry] : object_of(decoder, "added_tokens_decoder", where).items()) {
    if (key.empty() || key.size() > 7 || key.find_first_not_of("0123456789") != std::string::npos) {
      throw Error(where, "a key of added_tokens_decoder is not a token id");
    }
    const AddedToken token = added_token(entry, std::stoi(key), where);
    if (!known.contains(token.id)) added.push_back(token);
  }
}

}  // namespace

Vocabulary vocabulary_from_tokenizer_json(std::string_view text, const std::string& where) {
  const TokenizerDocument document = read_tokenizer_document(text, where);
  const json& model = member(document.rest, "model", where);
  check_pipeline(document.rest, model, where);
  std::vector<AddedToken> added;
  if (const json& tokens = member(document.rest, "added_tokens", where); !tokens.is_null()) {
    for (const json& entry : array_of(tokens, "added_tokens", where)) {
      added.push_back(added_token(entry, id_of(member(entry, "id", where), where), where));
    }
  }
  Vocabulary vocabulary = make_vocabulary(document.vocab, document.merges, added, where);
  vocabulary.ignore_merges =
      bool_of(member(model, "ignore_merges", where), false, "ignore_merges", where);
  return vocabulary;
}

Vocabulary vocabulary_from_names(const std::vector<std::string>& names,
                                 const std::vector<std::string>& merges, const std::string& where) {
  NamedIds tokens;
  std::vector<AddedToken> special;
  for (size_t id = 0; id < names.size(); ++id) {
    if (names[id] == "<|unused_" + std::to_string(id) + "|>") continue;
    const auto number = static_cast<int64_t>(id);
    if (is_special_name(names[id])) {
      special.push_back({number, names[id], true});
    } else {
      tokens.emplace_back(names[id], number);
    }
  }
  return make_vocabulary(tokens, merges, special, where);
}

Vocabulary vocabulary_from_folder(const std::filesystem::path& folder) {
  std::vector<AddedToken> added;
  read_added_tokens(folder, added);
  read_tokenizer_config(folder, added);
  return make_vocabulary(read_vocab(folder / "vocab.json"), read_merges(folder / "merges.txt"),
                         added, folder.string());
}

}  // namespace parley::text
