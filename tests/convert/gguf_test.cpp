// GGUF files made by ggml's own Python package (make_gguf.py).
#include "parley/convert/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "parley/convert/convert.h"
#include "parley/convert/ggml.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"
#include "parley/core/model/json.h"
#include "parley/core/model/model.h"
#include "parley/core/model/safetensors.h"
#include "parley/tests/support.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::stage {
namespace {

std::filesystem::path golden(const std::string& name) {
  return test::source_path("tests/convert/golden/" + name);
}

std::string error_of(std::string_view file) {
  return test::error_of([&] { parse_gguf(std::as_bytes(std::span(file)), "x.gguf"); });
}

std::string bytes_of(const std::string& name) { return read_file(golden(name), 1 << 20); }

// The file with the first `old_text` replaced by as many bytes of `new_text`.
std::string with(std::string file, const std::string& old_text, const std::string& new_text) {
  const size_t at = file.find(old_text);
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(old_text.size(), new_text.size());
  return file.replace(at, new_text.size(), new_text);
}

template <typename T>
std::string with_number(std::string file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
  return file;
}

TEST(Gguf, EveryDialectHoldsTheSameWhisper) {
  const nlohmann::json expected = read_json(golden("expected.json"))["wide"];
  for (const char* name :
       {"whisper-openai.gguf", "whisper-candle.gguf", "whisper-transcribe.gguf"}) {
    const WhisperCheckpoint checkpoint = open_gguf(golden(name));
    EXPECT_EQ(checkpoint.dims, (WhisperDims{.d_model = 32,
                                            .num_mel_bins = 4,
                                            .vocab_size = 1772,
                                            .max_source_positions = 8,
                                            .max_target_positions = 8,
                                            .encoder_layers = 2,
                                            .encoder_attention_heads = 2,
                                            .encoder_ffn_dim = 128,
                                            .decoder_layers = 1,
                                            .decoder_attention_heads = 2,
                                            .decoder_ffn_dim = 128}));
    EXPECT_EQ(checkpoint.tensors.size(), expected.size()) << name;
    for (const auto& [tensor_name, tensor] : checkpoint.tensors) {
      const std::vector<float> values = values_of(*tensor);
      Sha256 digest;
      digest.update(std::as_bytes(std::span(values)));
      EXPECT_EQ(digest.hex(), expected.value(tensor_name, "")) << name << " " << tensor_name;
    }
  }
}

TEST(Gguf, TranscribeCppsTokenizerAndListsAreKept) {
  test::TemporaryFolder folder;
  convert(golden("whisper-transcribe.gguf"), folder.path() / "model");
  const Model model = Model::open(folder.path() / "model");
  const auto tokenizer = text::Tokenizer::from_path(model.file("tokenizer.json"));
  const auto original = text::Tokenizer::from_path(golden("huggingface/tokenizer.json"));
  EXPECT_EQ(tokenizer.encode(" in the end"), original.encode(" in the end"));
  EXPECT_EQ(tokenizer.special().no_timestamps, original.special().no_timestamps);
  const Stage& decoder = model.stage("decoder");
  EXPECT_EQ(decoder.config_ints("suppress_tokens", 0, 1771), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(decoder.config_ints("begin_suppress_tokens", 0, 1771),
            (std::vector<int64_t>{220, 260}));

  const std::string crisper = with(bytes_of("whisper-openai.gguf"), "whisper", "crisper");
  EXPECT_NE(error_of(crisper).find("'crisper'"), std::string::npos);
}

TEST(Gguf, BlocksOf256ElementsAreReadAsGgmlReadsThem) {
  const Safetensors blocks(golden("k_quants.safetensors"));
  const std::pair<const char*, GgmlType> kinds[] = {{"q2_k", GgmlType::kQ2_K},
                                                    {"q3_k", GgmlType::kQ3_K},
                                                    {"q4_k", GgmlType::kQ4_K},
                                                    {"q5_k", GgmlType::kQ5_K},
                                                    {"q6_k", GgmlType::kQ6_K}};
  for (const auto& [name, type] : kinds) {
    const nn::Tensor expected = blocks.tensor(std::string(name) + ".values");
    std::vector<float> values(static_cast<size_t>(expected.shape.elements()));
    dequantize(type, blocks.bytes(std::string(name) + ".blocks"), values);
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_FLOAT_EQ(values[i], expected.f32()[i]) << name << " " << i;
  }
}

TEST(Gguf, HeadsAre64WideWhenTheFileDoesNotSay) {
  const std::string silent = with(bytes_of("whisper-openai.gguf"), "encoder.attention.head_count",
                                  "encoder.attention.head_xxxxx");
  EXPECT_NE(error_of(silent).find("encoder_attention_heads"), std::string::npos);  // 32 / 64
}

TEST(Gguf, TruncatedAndLyingFilesAreRefused) {
  const std::string whole = bytes_of("whisper-openai.gguf");
  EXPECT_EQ(error_of(whole), "");
  for (size_t size = 0; size < whole.size(); size += 1 + size / 20)
    ASSERT_NE(error_of(std::string_view(whole).substr(0, size)), "") << size;
  EXPECT_NE(error_of(with_number<uint32_t>(whole, 4, 1)).find("version 1"), std::string::npos);
  EXPECT_NE(error_of(with_number<uint64_t>(whole, 8, ~uint64_t{0})), "");   // tensors
  EXPECT_NE(error_of(with_number<uint64_t>(whole, 16, ~uint64_t{0})), "");  // entries
  EXPECT_NE(error_of(with_number<uint64_t>(whole, 24, ~uint64_t{0})), "");  // a key's length
  EXPECT_NE(error_of(with(whole, "whisper", "llama__")).find("architecture"), std::string::npos);
  EXPECT_NE(error_of(with(whole, "encoder.ln_post.weight", "encoder_ln_post.weight"))
                .find("encoder_ln_post.weight"),
            std::string::npos);
  // A tensor's offset lies behind its rank, dimensions and type.
  const size_t name = whole.find("encoder.ln_post.weight") + std::strlen("encoder.ln_post.weight");
  EXPECT_NE(error_of(with_number<uint64_t>(whole, name + 4 + 8 + 4, uint64_t{1} << 62))
                .find("beyond the end"),
            std::string::npos);
  EXPECT_NE(error_of(with_number<uint32_t>(whole, name, 9)).find("dimensions"), std::string::npos);
  EXPECT_NE(error_of(with_number<uint64_t>(whole, name + 4, 0)).find("shape"), std::string::npos);
  EXPECT_NE(error_of(with_number<uint32_t>(whole, name + 4 + 8, 99)).find("type 99"),
            std::string::npos);
}

}  // namespace
}  // namespace parley::stage
