// The published forms of a vocabulary, whole and damaged.
#include "parley/text/tokenizer/vocabulary.h"

#include <gtest/gtest.h>

#include <fstream>

#include "parley/core/base/error.h"
#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/special_tokens.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::text {
namespace {

using nlohmann::json;

void write(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string merges_text(const json& document, const char* line_end = "\n") {
  std::string text = std::string("#version: 0.2") + line_end;
  for (const json& merge : document["model"]["merges"]) {
    text += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + line_end;
  }
  return text;
}

json added_by_name(const json& document) {
  json added;
  for (const json& token : document["added_tokens"])
    added[token["content"].get<std::string>()] = token["id"];
  return added;
}

// What `change` makes of the small tokenizer.json.
template <typename Change>
std::string changed(Change change) {
  json document = test::small_tokenizer_json();
  change(document);
  return document.dump();
}

void expect_refused(const std::string& text, const std::string& problem) {
  const std::string error = test::error_of([&] { Tokenizer::from_json(text, "hostile.json"); });
  EXPECT_NE(error.find("hostile.json"), std::string::npos) << "expected: " << problem;
  EXPECT_NE(error.find(problem), std::string::npos) << error;
}

TEST(Vocabulary, MergesAsStringsOrPairsAreTheSame) {
  const std::string strings = changed([](json& document) {
    for (json& merge : document["model"]["merges"]) {
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    }
  });
  EXPECT_EQ(Tokenizer::from_json(strings, "strings").to_tokenizer_json(),
            test::small_tokenizer().to_tokenizer_json());
}

TEST(Vocabulary, FolderOfOlderFilesIsTheSame) {
  const test::TemporaryFolder folder;
  const json& document = test::small_tokenizer_json();
  write(folder.path() / "vocab.json", document["model"]["vocab"].dump());
  EXPECT_THROW(Tokenizer::from_folder(folder.path()), Error) << "no merges.txt";
  write(folder.path() / "merges.txt", merges_text(document));
  EXPECT_THROW(Tokenizer::from_folder(folder.path()), Error) << "no special tokens";

  write(folder.path() / "added_tokens.json", added_by_name(document).dump());
  const std::string expected = test::small_tokenizer().to_tokenizer_json();
  EXPECT_EQ(Tokenizer::from_folder(folder.path()).to_tokenizer_json(), expected);

  write(folder.path() / "merges.txt", merges_text(document, "\r\n"));
  EXPECT_EQ(Tokenizer::from_path(folder.path()).to_tokenizer_json(), expected) << "CRLF";

  std::filesystem::remove(folder.path() / "added_tokens.json");
  json config;
  for (const json& token : document["added_tokens"]) {
    config["added_tokens_decoder"][token["id"].dump()] = {{"content", token["content"]},
                                                          {"special", true}};
  }
  write(folder.path() / "tokenizer_config.json", config.dump());
  EXPECT_EQ(Tokenizer::from_folder(folder.path()).to_tokenizer_json(), expected);
}

TEST(Vocabulary, FolderTellsSpecialTokensFromText) {
  const test::TemporaryFolder folder;
  const json& document = test::small_tokenizer_json();
  json added = added_by_name(document);
  added[" Parley!"] = 3000;
  added["[noise]"] = 3001;
  write(folder.path() / "vocab.json", document["model"]["vocab"].dump());
  write(folder.path() / "merges.txt", merges_text(document));
  write(folder.path() / "added_tokens.json", added.dump());
  write(folder.path() / "special_tokens_map.json",
        R"({"eos_token": {"content": "<|endoftext|>"}, "additional_special_tokens": ["[noise]"]})");
  const auto tokenizer = Tokenizer::from_folder(folder.path());
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{3000, 3001}), " Parley!");
  write(folder.path() / "special_tokens_map.json", R"({"eos_token": 5})");
  EXPECT_THROW(Tokenizer::from_folder(folder.path()), Error);
}

TEST(Vocabulary, FolderSaysWhatIsMissing) {
  const test::TemporaryFolder folder;
  const std::string error = test::error_of([&] { Tokenizer::from_folder(folder.path()); });
  EXPECT_NE(error.find("tokenizer.json"), std::string::npos) << error;
  EXPECT_NE(error.find("merges.txt"), std::string::npos) << error;
}

std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j)
      text += i + j > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * j) & 63];
  }
  return text;
}

TEST(Vocabulary, TiktokenFileIsTheSame) {
  const test::TemporaryFolder folder;
  const Tokenizer& small = test::small_tokenizer();
  std::string lines;
  int rank = 0;
  for (const std::string& bytes : test::byte_tokens(small))
    lines += base64(bytes) + " " + std::to_string(rank++) + "\n";
  const auto path = folder.path() / "small.tiktoken";
  write(path, lines);
  const auto tokenizer = Tokenizer::from_path(path, small.size());
  EXPECT_EQ(tokenizer.encode("Hello, 今日は world"), small.encode("Hello, 今日は world"));
  EXPECT_EQ(tokenizer.special().eot, 600);

  // OpenAI's multilingual file ends with an empty token, written "=".
  write(path, lines + "= 600\n");
  const auto with_empty = Tokenizer::from_tiktoken(path, small.size() + 1);
  EXPECT_EQ(with_empty.special().eot, 601);
  EXPECT_EQ(with_empty.bytes(600), "");
  EXPECT_EQ(Tokenizer::from_json(with_empty.to_tokenizer_json(), "written").special().eot, 601);

  EXPECT_THROW(Tokenizer::from_path(path), Error) << "vocabulary size unknown";
  for (const char* bad : {"AA== 0\n", "AA== 9999\n", "AA==\n", "AA== x\n", "A?== 600\n",
                          "AA== -1\n", "AA== 600x\n"}) {
    write(path, lines + bad);
    EXPECT_THROW(Tokenizer::from_tiktoken(path, small.size()), Error) << bad;
  }
}

TEST(Vocabulary, SpecialIdsFollowFromTheSizeOfTheModel) {
  std::vector<std::string> tokens;
  for (const uint8_t byte : byte_level_order()) tokens.emplace_back(1, static_cast<char>(byte));
  const auto special_of = [&](int vocab_size) {
    return Tokenizer::from_ranks(tokens, vocab_size).special();
  };
  tokens.resize(50256);  // English-only; the rest is absent
  EXPECT_EQ(special_of(51864).eot, 50256);
  EXPECT_EQ(special_of(51864).no_timestamps, 50362);
  EXPECT_FALSE(special_of(51864).multilingual);
  tokens.resize(50257);
  EXPECT_EQ(special_of(51865).eot, 50257);
  EXPECT_EQ(special_of(51865).transcribe, 50359);
  EXPECT_EQ(special_of(51865).timestamp_begin, 50364);
  EXPECT_TRUE(special_of(51865).multilingual);
  EXPECT_EQ(special_of(51866).language("yue"), 50358);
  EXPECT_EQ(special_of(51866).timestamp_begin, 50365);
  EXPECT_THROW(special_of(51867), Error);
  EXPECT_THROW(special_of(50257), Error);
  EXPECT_THROW(special_of(-1), Error);
  tokens.emplace_back("<|endoftext|>");  // listed too, as converters from Hugging Face do
  EXPECT_EQ(special_of(51865).eot, 50257);
  tokens.emplace_back("<|startoftranscript|>");
  EXPECT_EQ(special_of(51865).eot, 50257);
  tokens.emplace_back("surprise");
  EXPECT_THROW(special_of(51865), Error);
}

TEST(Vocabulary, RanksAreRefusedWhenDamaged) {
  const Tokenizer& small = test::small_tokenizer();
  const std::vector<std::string> tokens = test::byte_tokens(small);
  std::vector<std::string> twice = tokens;
  twice.back() = twice[300];
  EXPECT_THROW(Tokenizer::from_ranks(twice, small.size()), Error);
  std::vector<std::string> without_byte = tokens;
  without_byte[65] = "xyz";
  EXPECT_THROW(Tokenizer::from_ranks(without_byte, small.size()), Error);
  EXPECT_THROW(Tokenizer::from_ranks({}, 1608), Error);
}

// A piece that no pair of earlier tokens makes is found by the whole pre-token, as tiktoken does.
TEST(Vocabulary, ATokenWithoutAMergeIsReachedAsAWhole) {
  std::vector<std::string> tokens;
  for (const uint8_t byte : byte_level_order()) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.emplace_back("abc");
  const auto tokenizer = Tokenizer::from_ranks(tokens, 257 + 1608);
  EXPECT_EQ(tokenizer.encode("abc"), std::vector<int32_t>{256});
  EXPECT_EQ(tokenizer.encode("abcd").size(), 4);
  const auto reloaded = Tokenizer::from_json(tokenizer.to_tokenizer_json(), "written");
  EXPECT_EQ(reloaded.encode("abc"), std::vector<int32_t>{256});
}

TEST(Vocabulary, HostileIdsAreRefused) {
  const auto with_id = [](const json& id) {
    return changed([&](json& document) { document["model"]["vocab"]["zzzz"] = id; });
  };
  for (const json& id :
       {json(-1), json(1 << 20), json(INT64_MAX), json(UINT64_MAX), json(INT64_MIN)}) {
    expect_refused(with_id(id), "out of range");
  }
  expect_refused(with_id(1.5), "not an integer");
  expect_refused(with_id("7"), "not an integer");
  expect_refused(with_id(nullptr), "not an integer");
  expect_refused(with_id(7), "two tokens have the id 7");
  expect_refused(with_id(600), "two tokens have the id 600");
  expect_refused(with_id(800), "two tokens have the id 800");  // where <|1.86|> belongs
  const auto add = [](const json& token) {
    return changed([&](json& document) { document["added_tokens"].push_back(token); });
  };
  expect_refused(add({{"id", -5}, {"content", "<|x|>"}}), "out of range");
  expect_refused(add({{"id", 3}, {"content", "<|x|>"}}), "two tokens have the id 3");
  expect_refused(add({{"id", 5000}, {"content", "<|en|>"}}), "<|en|>");
  expect_refused(add({{"id", 5000}, {"content", "a"}}), "two ids");
  expect_refused(changed([](json& document) {
                   for (const int id : {5000, 5001}) {
                     document["added_tokens"].push_back({{"id", id}, {"content", "x y"}});
                   }
                 }),
                 "two ids");
  expect_refused(add({{"id", 5000}, {"content", "<|0.02|>"}}), "timestamp");
  expect_refused(add({{"id", 5000}}), "not a string");
  expect_refused(add({{"id", 5000}, {"content", "x"}, {"special", "yes"}}), "not true or false");
  expect_refused(add(5000), "no object");
}

TEST(Vocabulary, HostileStructureIsRefused) {
  expect_refused("", "JSON");
  expect_refused("{", "JSON");
  expect_refused("[1,2]", "not an object");
  expect_refused("null", "not an object");
  expect_refused("{}", "not an object");
  expect_refused("\xFF", "JSON");
  expect_refused(std::string(1 << 20, '['), "nested too deep");
  std::string wide = "[0";
  for (int i = 0; i < 1 << 20; ++i) wide += ",0";
  expect_refused(wide + "]", "too many values");
  expect_refused(std::string(17 << 20, ' '), "too long");
  expect_refused(changed([](json& d) { d["model"]["vocab"] = json::array(); }), "not an object");
  expect_refused(changed([](json& d) { d["model"].erase("vocab"); }), "not an object");
  expect_refused(changed([](json& d) { d["model"].erase("merges"); }), "not a list");
  expect_refused(changed([](json& d) { d["model"]["merges"] = "a b"; }), "not a list");
  expect_refused(changed([](json& d) { d["model"]["merges"].push_back("ab"); }), "not two tokens");
  expect_refused(changed([](json& d) { d["model"]["merges"].push_back("a b c"); }),
                 "not two tokens");
  for (const json& merge : {json{"a", "b", "c"}, json{"a", "b c"}, json{"a"}, json("abc")}) {
    expect_refused(changed([&](json& d) { d["model"]["merges"].push_back(merge); }),
                   "not two tokens");
  }
  for (const json& merge : {json{"a", 5}, json(5), json::object(), json(nullptr)}) {
    expect_refused(changed([&](json& d) { d["model"]["merges"].push_back(merge); }),
                   "not a string or two");
  }
  expect_refused(changed([](json& d) { d["model"]["merges"].push_back("q zzz"); }),
                 "not in the vocabulary");
  expect_refused(changed([](json& d) { d["model"]["vocab"].erase("A"); }),
                 "no token for the byte 65");
  expect_refused(changed([](json& d) { d["model"]["vocab"]["a b"] = 5000; }),
                 "byte-level alphabet");
  expect_refused(changed([](json& d) { d["added_tokens"] = 5; }), "not a list");
  for (const size_t index : {size_t{0}, size_t{1}, size_t{106}}) {  // eot, sot, notimestamps
    expect_refused(changed([&](json& d) { d["added_tokens"].erase(index); }), "has no token");
  }
}

TEST(Vocabulary, WhatThisTokenizerDoesNotDoIsRefused) {
  expect_refused(changed([](json& d) { d["model"]["type"] = "Unigram"; }), "not BPE");
  expect_refused(changed([](json& d) { d["model"]["dropout"] = 0.1; }), "dropout");
  expect_refused(changed([](json& d) { d["model"]["end_of_word_suffix"] = "</w>"; }),
                 "end_of_word_suffix");
  expect_refused(changed([](json& d) { d["normalizer"] = {{"type", "NFC"}}; }), "normalizer");
  expect_refused(changed([](json& d) { d["pre_tokenizer"] = nullptr; }), "pre-tokenizer");
  expect_refused(changed([](json& d) { d["pre_tokenizer"]["type"] = "Whitespace"; }),
                 "pre-tokenizer");
  expect_refused(changed([](json& d) { d["pre_tokenizer"]["add_prefix_space"] = true; }),
                 "pre-tokenizer");
}

// Tokens that a fine-tuning added: their text is decoded, and no text is encoded to them.
TEST(Vocabulary, AddedTextTokensAreDecodedOnly) {
  const auto tokenizer = Tokenizer::from_json(
      changed([](json& d) {
        d["added_tokens"].push_back({{"id", 3000}, {"content", " Parley!"}, {"special", false}});
      }),
      "fine-tuned");
  EXPECT_EQ(tokenizer.size(), 3001);
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{3000}), " Parley!");
  EXPECT_EQ(tokenizer.encode(" Parley!"), test::small_tokenizer().encode(" Parley!"));
  const auto reloaded = Tokenizer::from_json(tokenizer.to_tokenizer_json(), "written");
  EXPECT_EQ(reloaded.bytes(3000), " Parley!");
}

TEST(SpecialTokens, NamesAreRecognised) {
  for (const char* name : {"<|endoftext|>", "<|en|>", "<|yue|>", "<|0.00|>", "<|30.00|>",
                           "<|9.98|>", "<|nocaptions|>"}) {
    EXPECT_TRUE(is_whisper_special(name)) << name;
  }
  for (const char* name : {"<||>", "<|xx|>", "<|0.01|>", "<|30.02|>", "<|00.00|>", "<|1.000|>",
                           "<|1.|>", "<|.00|>", "<|-1.00|>", "en", "<|1.0", "<|"}) {
    EXPECT_FALSE(is_whisper_special(name)) << name;
  }
  EXPECT_EQ(timestamp_name(0), "<|0.00|>");
  EXPECT_EQ(timestamp_name(62), "<|1.24|>");
  EXPECT_EQ(timestamp_name(1500), "<|30.00|>");
}

TEST(ByteLevel, IsTheAlphabetOfGpt2) {
  EXPECT_EQ(to_byte_level(" \n\tA\xFF"), "ĠĊĉAÿ");
  EXPECT_EQ(to_byte_level(std::string_view("\0\xAD", 2)), "ĀŃ");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(from_byte_level(to_byte_level(all)), all);
  for (const char* outside : {" ", "\n", "ń\u0144\u0145", "今", "\u00AD", "\x80"}) {
    EXPECT_EQ(from_byte_level(outside), std::nullopt) << outside;
  }
}

}  // namespace
}  // namespace parley::text
