#include "parley/text/tokenizer/tokenizer_document.h"

#include "parley/core/base/error.h"

namespace parley::text {

namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxValues = size_t{1} << 20;  // outside the two lists; an added token has 8

// Receives the events of nlohmann's parser (its SAX interface).
class Reader {
 public:
  Reader(TokenizerDocument& document, const std::string& where)
      : document_(document), where_(where) {}

  bool null() { return value(nullptr); }
  bool boolean(bool v) { return value(v); }
  bool number_float(double v, const std::string&) { return value(v); }
  bool binary(json::binary_t&) { return false; }  // not in JSON text
  bool number_integer(int64_t v) { return section_ == Section::kVocab ? id(v) : value(v); }
  // One that does not fit becomes negative: an id out of range.
  bool number_unsigned(uint64_t v) {
    return section_ == Section::kVocab ? id(static_cast<int64_t>(v)) : value(v);
  }
  bool string(std::string& v) {
    if (section_ == Section::kMerges) return merge_part(v);
    return value(std::move(v));
  }

  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }

  bool start_object(size_t) {
    if (in_model() && key_ == "vocab") return enter(Section::kVocab);
    return open(json::object());
  }

  bool start_array(size_t) {
    if (in_model() && key_ == "merges") return enter(Section::kMerges);
    if (section_ == Section::kMerges && !in_pair_) {
      in_pair_ = true;
      pair_.clear();
      return true;
    }
    return open(json::array());
  }

  bool end_object() { return close(); }

  bool end_array() {
    if (!in_pair_) return close();
    in_pair_ = false;
    if (pair_.size() != 2) throw Error(where_, "a merge is not two tokens");
    document_.merges.push_back(pair_[0] + ' ' + pair_[1]);
    return true;
  }

  bool parse_error(size_t, const std::string&, const json::exception& error) {
    throw Error(where_, std::string("is not JSON: ") + error.what());
  }

  void check() const {
    if (!document_.rest.is_object() || !document_.rest.contains("model")) {
      throw Error(where_, "is not an object with a model", "is it a tokenizer.json?");
    }
    if (!has_vocab_) throw Error(where_, "model.vocab is not an object");
    if (!has_merges_) throw Error(where_, "model.merges is not a list");
  }

 private:
  enum class Section { kRest, kVocab, kMerges };

  // Inside the member "model" of the root.
  bool in_model() const {
    return section_ == Section::kRest && open_.size() == 2 && model_ == open_.back();
  }

  bool enter(Section section) {
    section_ = section;
    (section == Section::kVocab ? has_vocab_ : has_merges_) = true;
    return true;
  }

  bool id(int64_t value) {
    document_.vocab.emplace_back(std::move(key_), value);
    return true;
  }

  bool merge_part(std::string& part) {
    if (in_pair_ && part.find(' ') != std::string::npos) {
      throw Error(where_, "a merge is not two tokens: a space in \"" + part + '"');
    }
    (in_pair_ ? pair_ : document_.merges).push_back(std::move(part));
    return true;
  }

  // A value outside the lists, or of a wrong type inside them.
  json& place(json value) {
    if (section_ == Section::kVocab) throw Error(where_, "a token id is not an integer");
    if (section_ == Section::kMerges) throw Error(where_, "a merge is not a string or two");
    if (open_.size() > kMaxDepth) throw Error(where_, "the JSON is nested too deep");
    if (++values_ > kMaxValues) throw Error(where_, "the JSON has too many values");
    if (open_.empty()) return document_.rest = std::move(value);
    json& parent = *open_.back();
    if (parent.is_array()) return parent.emplace_back(std::move(value));
    return parent[key_] = std::move(value);
  }

  bool value(json scalar) {
    place(std::move(scalar));
    return true;
  }

  bool open(json container) {
    const bool is_model = open_.size() == 1 && open_[0]->is_object() && key_ == "model";
    open_.push_back(&place(std::move(container)));
    if (is_model) model_ = open_.back();
    return true;
  }

  bool close() {
    if (section_ == Section::kRest) {
      open_.pop_back();
    } else {
      section_ = Section::kRest;
    }
    return true;
  }

  TokenizerDocument& document_;
  const std::string& where_;
  std::vector<json*>
      open_;  // the containers around the next value; a parent does not grow meanwhile
  const json* model_ = nullptr;
  std::string key_;
  Section section_ = Section::kRest;
  bool in_pair_ = false;
  std::vector<std::string> pair_;
  size_t values_ = 0;
  bool has_vocab_ = false;
  bool has_merges_ = false;
};

}  // namespace

TokenizerDocument read_tokenizer_document(std::string_view text, const std::string& where) {
  if (text.size() > kMaxTokenizerBytes) throw Error(where, "is too long for a tokenizer");
  TokenizerDocument document;
  Reader reader(document, where);
  json::sax_parse(text, &reader);
  reader.check();
  return document;
}

}  // namespace parley::text
