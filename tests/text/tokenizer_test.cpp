#include "parley/text/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/tests/support.h"
#include "parley/tests/text/golden.h"
#include "parley/text/utf8.h"

namespace parley::text {
namespace {

void expect_golden(const Tokenizer& tokenizer, const char* name) {
  const auto& texts = test::golden()["texts"];
  ASSERT_GT(texts.size(), 50);
  for (const auto& entry : texts) {
    const std::string text = entry["text"];
    const std::vector<int32_t> expected = entry[name];
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
    EXPECT_EQ(tokenizer.decode(expected), text);
  }
}

TEST(Tokenizer, EncodesLikeHuggingFace) { expect_golden(test::small_tokenizer(), "small"); }

TEST(Tokenizer, EncodesLikeHuggingFaceUnderGpt2) {
  const Tokenizer* tokenizer = test::gpt2_tokenizer();
  if (tokenizer == nullptr) GTEST_SKIP() << test::kNoShared;
  expect_golden(*tokenizer, "gpt2");
}

TEST(Tokenizer, DecodesWhatItEncodes) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  for (unsigned seed = 1; seed <= 300; ++seed) {
    const std::string text = test::random_text(seed, seed % 97);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text) << "seed " << seed;
    const std::string bytes = test::random_bytes(seed, seed % 97);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes)), replace_invalid_utf8(bytes))
        << "seed " << seed;
  }
}

TEST(Tokenizer, BytesThroughAStreamAreTheDecodedText) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  const std::string text = test::golden()["texts"][9]["text"];
  Utf8Stream stream;
  std::string streamed;
  for (const int32_t id : tokenizer.encode(text)) streamed += stream.push(tokenizer.bytes(id));
  EXPECT_EQ(streamed + stream.finish(), text);
}

TEST(Tokenizer, TakesAMegabyteWithoutASpace) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  std::string letters;
  for (const char byte : test::random_bytes(5, 1 << 20))
    letters += static_cast<char>('a' + (byte & 15));
  for (const std::string& text :
       {std::string(1 << 20, 'e'), std::string(1 << 20, ' ') + "x", letters}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, SpecialTokensAreNeitherEncodedNorDecoded) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  const SpecialTokens& special = tokenizer.special();
  for (const int32_t id : tokenizer.encode("<|endoftext|><|en|><|0.00|>"))
    EXPECT_LT(id, special.eot);
  std::vector<int32_t> ids = {special.sot, special.language("en"), special.timestamp_begin};
  const std::vector<int32_t> text = tokenizer.encode(" hello");
  ids.insert(ids.end(), text.begin(), text.end());
  ids.insert(ids.end(),
             {special.timestamp_begin + 1500, special.eot, -1, tokenizer.size(), 1 << 30});
  EXPECT_EQ(tokenizer.decode(ids), " hello");
  EXPECT_EQ(tokenizer.bytes(special.eot), "");
  EXPECT_EQ(tokenizer.bytes(-1), "");
  EXPECT_EQ(tokenizer.bytes(tokenizer.size()), "");
}

TEST(Tokenizer, FindsSpecialTokensByName) {
  const SpecialTokens& special = test::small_tokenizer().special();
  EXPECT_EQ(special.eot, 600);
  EXPECT_EQ(special.sot, 601);
  EXPECT_EQ(special.language("en"), 602);
  EXPECT_EQ(special.language("su"), 700);
  EXPECT_EQ(special.language("yue"), kNoToken);
  EXPECT_EQ(special.translate, 701);
  EXPECT_EQ(special.transcribe, 702);
  EXPECT_EQ(special.sot_lm, 703);
  EXPECT_EQ(special.sot_prev, 704);
  EXPECT_EQ(special.no_speech, 705) << "named <|nocaptions|> here";
  EXPECT_EQ(special.no_timestamps, 706);
  EXPECT_EQ(special.timestamp_begin, 707) << "not listed: they follow notimestamps";
  EXPECT_EQ(test::small_tokenizer().size(), 707 + kTimestampTokens);
  EXPECT_EQ(special.languages.size(), 99);
  EXPECT_TRUE(special.multilingual);
  EXPECT_TRUE(special.is_timestamp(707));
  EXPECT_TRUE(special.is_timestamp(707 + 1500));
  EXPECT_FALSE(special.is_timestamp(706));
}

TEST(Tokenizer, FindsThePilotsSpecialTokens) {
  const Tokenizer* tokenizer = test::gpt2_tokenizer();
  if (tokenizer == nullptr) GTEST_SKIP() << test::kNoShared;
  const SpecialTokens& special = tokenizer->special();
  EXPECT_EQ(tokenizer->size(), 51864);
  EXPECT_EQ(special.eot, 50256);
  EXPECT_EQ(special.sot, 50257);
  EXPECT_EQ(special.sot_prev, 50360);
  EXPECT_EQ(special.no_speech, 50361);
  EXPECT_EQ(special.no_timestamps, 50362);
  EXPECT_EQ(special.timestamp_begin, 50363);
  EXPECT_FALSE(special.multilingual);
  const std::vector<int32_t> non_speech = test::golden()["gpt2_non_speech"];
  EXPECT_EQ(tokenizer->non_speech_tokens(), non_speech);
}

// openai/whisper suppresses the first token of " ♪" whatever it is; here that would be every bare
// space.
TEST(Tokenizer, NonSpeechTokensOfASmallVocabularyAreNoSpacesOrPartialPunctuation) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  const std::vector<int32_t> tokens = tokenizer.non_speech_tokens();
  std::vector<std::string> texts;
  texts.reserve(tokens.size());
  for (const int32_t id : tokens) texts.emplace_back(tokenizer.bytes(id));
  EXPECT_TRUE(std::ranges::is_sorted(tokens));
  for (const char* symbol : {"\"", "(", "[", "|", "~"}) {
    EXPECT_EQ(std::ranges::count(texts, symbol), 1) << symbol;
  }
  for (const char* kept : {" ", "-", "'", ".", ",", "?", "!", "\xE2"}) {
    EXPECT_EQ(std::ranges::count(texts, kept), 0) << kept;
  }
}

TEST(Tokenizer, RanksEncodeLikeMerges) {
  const Tokenizer& merges = test::small_tokenizer();
  const auto ranks = Tokenizer::from_ranks(test::byte_tokens(merges), merges.size());
  expect_golden(ranks, "small");
  EXPECT_EQ(ranks.special().no_timestamps, merges.special().no_timestamps);
  for (unsigned seed = 1; seed <= 300; ++seed) {
    const std::string text = test::random_text(seed, 60);
    EXPECT_EQ(ranks.encode(text), merges.encode(text)) << "seed " << seed;
  }
}

TEST(Tokenizer, RanksEncodeLikeMergesUnderGpt2) {
  const Tokenizer* merges = test::gpt2_tokenizer();
  if (merges == nullptr) GTEST_SKIP() << test::kNoShared;
  const auto ranks = Tokenizer::from_ranks(test::byte_tokens(*merges), 51864);
  expect_golden(ranks, "gpt2");
  EXPECT_EQ(ranks.to_tokenizer_json(), merges->to_tokenizer_json());
}

// The vocabulary of a whisper.cpp file: after 12 fields and the mel filters, count, then length and
// bytes each.
std::vector<std::string> ggml_vocabulary(const std::filesystem::path& path) {
  const MappedFile file(path);
  size_t at = 12 * sizeof(int32_t);
  const auto next = [&]() {
    int32_t value = 0;
    std::memcpy(&value, file.bytes().subspan(at, sizeof(value)).data(), sizeof(value));
    at += sizeof(value);
    return static_cast<size_t>(value);
  };
  const size_t mels = next();
  const size_t bins = next();
  at += mels * bins * sizeof(float);
  std::vector<std::string> tokens(next());
  for (std::string& token : tokens) {
    const size_t length = next();
    token.assign(reinterpret_cast<const char*>(file.bytes().subspan(at, length).data()), length);
    at += length;
  }
  return tokens;
}

// Its converter wrote U+FFFD for bytes that are no whole code point: what those tokens are is lost,
// but all text still has tokens, and English the right ones.
TEST(Tokenizer, ReadsThePilotsWhisperCppVocabulary) {
  const auto path = test::shared_path("models/pilot-en/ggml-model-q8_0.bin");
  if (!path) GTEST_SKIP() << test::kNoShared;
  const auto tokenizer = Tokenizer::from_ranks(ggml_vocabulary(*path), 51864, path->string());
  EXPECT_EQ(tokenizer.size(), 51864);
  EXPECT_EQ(tokenizer.special().no_timestamps, 50362);
  EXPECT_FALSE(tokenizer.special().multilingual);
  int same = 0;
  for (const auto& entry : test::golden()["texts"]) {
    const std::string text = entry["text"];
    const std::vector<int32_t> expected = entry["gpt2"];
    const std::vector<int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(tokenizer.decode(ids), text);
    if (std::ranges::all_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x80; })) {
      EXPECT_EQ(ids, expected) << text;
    }
    same += ids == expected ? 1 : 0;
  }
  EXPECT_GT(same, static_cast<int>(test::golden()["texts"].size()) / 2);
  const auto reloaded = Tokenizer::from_json(tokenizer.to_tokenizer_json(), "written");
  EXPECT_EQ(reloaded.to_tokenizer_json(), tokenizer.to_tokenizer_json());
  EXPECT_EQ(reloaded.special().eot, 50256);
}

TEST(Tokenizer, CanonicalFormIsTheSameTokenizer) {
  const Tokenizer& original = test::small_tokenizer();
  const std::string json = original.to_tokenizer_json();
  const auto reloaded = Tokenizer::from_json(json, "written");
  EXPECT_EQ(reloaded.to_tokenizer_json(), json);
  EXPECT_EQ(reloaded.size(), original.size());
  EXPECT_EQ(reloaded.special().no_speech, original.special().no_speech);
  EXPECT_EQ(reloaded.special().timestamp_begin, original.special().timestamp_begin);
  expect_golden(reloaded, "small");
}

TEST(Tokenizer, IsReadByManyThreads) {
  const Tokenizer& tokenizer = test::small_tokenizer();
  std::vector<int> wrong(4);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&, i] {
      for (const auto& entry : test::golden()["texts"]) {
        const std::vector<int32_t> expected = entry["small"];
        wrong[i] += tokenizer.encode(std::string(entry["text"])) != expected;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace parley::text
