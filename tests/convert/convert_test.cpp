// tests/convert/golden holds one tiny Whisper in every format, with weights that all of them hold
// exactly (make_checkpoints.py): converted, they must be the same, byte by byte.
#include "parley/convert/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "parley/convert/whisper_generation.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/digest.h"
#include "parley/core/model/model.h"
#include "parley/core/model/whisper.h"
#include "parley/tests/support.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return test::source_path("tests/convert/golden/" + name);
}

ConvertOptions with_tokenizer() { return {.tokenizer = golden("huggingface/tokenizer.json")}; }

std::vector<float> values_of(const nn::Tensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.shape.elements()));
  nn::to_f32(tensor.data, tensor.dtype, values.size(), values.data());
  return values;
}

// Compares every tensor with expected.json.
void expect_golden_weights(const Model& model, const std::string& which) {
  const nlohmann::json expected = read_json(golden("expected.json"))[which];
  size_t tensors = 0;
  for (const char* stage : {"encoder", "decoder"}) {
    const Safetensors& weights = model.stage(stage).weights();
    for (const std::string& name : weights.names()) {
      const std::vector<float> values = values_of(weights.tensor(name));
      Sha256 digest;
      digest.update(std::as_bytes(std::span(values)));
      EXPECT_EQ(digest.hex(), expected.value(std::string(stage) + "." + name, ""))
          << stage << " " << name;
      ++tensors;
    }
  }
  EXPECT_EQ(tensors, expected.size());
}

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::copy(from, to, fs::copy_options::recursive);
}

void replace_in_file(const fs::path& path, const std::string& old_text,
                     const std::string& new_text) {
  std::string text = read_file(path, 1 << 20);
  const size_t at = text.find(old_text);
  ASSERT_NE(at, std::string::npos) << path << " has no " << old_text;
  text.replace(at, old_text.size(), new_text);
  std::ofstream(path) << text;
}

class Convert : public testing::Test {
 protected:
  Model model(const fs::path& source, const ConvertOptions& options = {}) {
    const fs::path path = folder_.path() / ("model" + std::to_string(count_++));
    convert(source, path, options);
    return Model::open(path);
  }
  const fs::path& folder() const { return folder_.path(); }

 private:
  test::TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(Convert, HuggingFaceFolderKeepsItsWeightsAndFacts) {
  const Model converted = model(golden("huggingface"), {.name = "tiny-test"});
  EXPECT_EQ(converted.name(), "tiny-test");
  EXPECT_EQ(converted.kind(), "stt");
  converted.verify();

  const Safetensors source(golden("huggingface/model.safetensors"));
  size_t tensors = 0;
  for (const char* stage : {"encoder", "decoder"}) {
    const Safetensors& weights = converted.stage(stage).weights();
    for (const std::string& name : weights.names()) {
      const nn::Tensor original = source.tensor(std::string("model.") + stage + "." + name);
      const nn::Tensor stored = weights.tensor(name, original.shape);
      EXPECT_EQ(values_of(stored), values_of(original)) << name;
      const bool small = stored.shape.rank() == 1 || name == "embed_positions.weight";
      EXPECT_EQ(stored.dtype, small ? nn::DType::kF32 : nn::DType::kF16) << name;
      ++tensors;
    }
  }
  EXPECT_EQ(tensors, source.names().size());

  const Stage& encoder = converted.stage("encoder");
  EXPECT_EQ(encoder.kind(), "whisper_encoder");
  EXPECT_EQ(encoder.config_int("encoder_layers", 1, 100), 2);
  EXPECT_EQ(encoder.config_int("encoder_ffn_dim", 1, 1000), 64);
  const Stage& decoder = converted.stage("decoder");
  EXPECT_EQ(decoder.config_int("decoder_layers", 1, 100), 1);
  EXPECT_EQ(decoder.config_int("vocab_size", 1, 10000), 1772);
  EXPECT_EQ(decoder.config_ints("suppress_tokens", 0, 1771), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(decoder.config_ints("begin_suppress_tokens", 0, 1771),
            (std::vector<int64_t>{220, 260}));
  EXPECT_EQ(decoder.config_pairs("alignment_heads", 0, 1),
            (std::vector<std::pair<int64_t, int64_t>>{{0, 1}}));
  EXPECT_FALSE(decoder.config_bool("is_multilingual"));
  const Stage& frontend = converted.stage("frontend");
  EXPECT_EQ(frontend.config_int("n_mels", 1, 128), 4);
  EXPECT_FALSE(frontend.has_weights());
  EXPECT_THROW(frontend.weights(), Error);

  const auto tokenizer = text::Tokenizer::from_path(converted.file("tokenizer.json"));
  const auto original = text::Tokenizer::from_path(golden("huggingface/tokenizer.json"));
  EXPECT_EQ(tokenizer.encode("in the end"), original.encode("in the end"));
}

TEST_F(Convert, EverySourceGivesTheSameWeights) {
  const Model narrow = model(golden("huggingface"));
  expect_golden_weights(narrow, "narrow");
  const Model openai = model(golden("openai.pt"), with_tokenizer());
  expect_golden_weights(openai, "narrow");
  EXPECT_EQ(openai.digest(), narrow.digest());
  EXPECT_EQ(openai.stage("encoder").config(), narrow.stage("encoder").config());
  EXPECT_EQ(openai.stage("frontend").config(), narrow.stage("frontend").config());

  const Model q8 = model(golden("ggml-q8.bin"), with_tokenizer());
  expect_golden_weights(q8, "wide");
  const Model q4_q5 = model(golden("ggml-q4-q5.bin"), with_tokenizer());
  expect_golden_weights(q4_q5, "wide");
  EXPECT_EQ(q4_q5.digest(), q8.digest());
  const Model gguf = model(golden("whisper-openai.gguf"), with_tokenizer());
  EXPECT_EQ(gguf.digest(), q8.digest());
  EXPECT_NE(q8.digest(), narrow.digest());
}

TEST_F(Convert, PytorchBinWholeAndInShards) {
  const fs::path source = folder() / "bin";
  copy_folder(golden("huggingface"), source);
  fs::remove(source / "model.safetensors");
  fs::copy(golden("pytorch_model.bin"), source / "pytorch_model.bin");
  expect_golden_weights(model(source), "narrow");

  fs::rename(source / "pytorch_model.bin", source / "pytorch_model-00001-of-00001.bin");
  std::ofstream(source / "pytorch_model.bin.index.json")
      << R"({"weight_map": {"model.encoder.conv1.weight": "pytorch_model-00001-of-00001.bin"}})";
  expect_golden_weights(model(source), "narrow");
}

TEST_F(Convert, ShardedSafetensorsInBf16) {
  const fs::path source = folder() / "sharded";
  copy_folder(golden("huggingface"), source);
  fs::remove(source / "model.safetensors");
  const Safetensors original(golden("huggingface/model.safetensors"));
  nlohmann::json index;
  const size_t half = original.names().size() / 2;
  for (size_t shard = 0; shard < 2; ++shard) {
    const std::string file = "model-" + std::to_string(shard) + ".safetensors";
    std::vector<TensorInfo> tensors;
    for (size_t i = shard * half; i < (shard == 0 ? half : original.names().size()); ++i) {
      const std::string& name = original.names()[i];
      tensors.push_back({name, nn::DType::kBF16, original.shape(name)});
      index["weight_map"][name] = file;
    }
    SafetensorsWriter writer(source / file, tensors);
    for (const TensorInfo& tensor : writer.order()) {
      std::vector<uint16_t> halves;
      for (const float value : values_of(original.tensor(tensor.name)))
        halves.push_back(nn::f32_to_bf16(value));
      writer.write(tensor.name, std::as_bytes(std::span(halves)));
    }
    writer.commit();
  }
  std::ofstream(source / "model.safetensors.index.json") << index;
  expect_golden_weights(model(source), "narrow");

  // Without rounding, matrices stay as they are in the source.
  const Model exact = model(source, {.weights = WeightStorage::kF32});
  EXPECT_EQ(exact.stage("encoder").weights().dtype("conv1.weight"), "BF16");
  EXPECT_EQ(exact.stage("encoder").weights().dtype("conv1.bias"), "F32");

  std::ofstream(source / "model.safetensors.index.json")
      << R"({"weight_map": {"a": "../sharded/model-0.safetensors"}})";
  EXPECT_NE(test::error_of([&] { model(source); }), "");
}

TEST_F(Convert, WithoutRoundingQuantizedSourcesBecomeF32) {
  const Model exact = model(golden("ggml-q4-q5.bin"),
                            {.weights = WeightStorage::kF32, .tokenizer = golden("huggingface")});
  EXPECT_EQ(exact.stage("decoder").weights().dtype("embed_tokens.weight"), "F32");
  EXPECT_EQ(exact.stage("encoder").weights().dtype("conv2.weight"), "F16");
  expect_golden_weights(exact, "wide");
}

TEST_F(Convert, FactsThatTheSourceLacksAreOpenAisDefaults) {
  const Model converted = model(golden("openai.pt"), with_tokenizer());
  const Stage& decoder = converted.stage("decoder");
  const auto tokenizer = text::Tokenizer::from_path(converted.file("tokenizer.json"));
  const auto suppressed = decoder.config_ints("suppress_tokens", 0, 1771);
  for (const int32_t id : {tokenizer.special().sot, tokenizer.special().no_speech,
                           tokenizer.special().translate, tokenizer.encode("(")[0]}) {
    EXPECT_NE(std::find(suppressed.begin(), suppressed.end(), id), suppressed.end()) << id;
  }
  EXPECT_EQ(decoder.config_ints("begin_suppress_tokens", 0, 1771),
            (std::vector<int64_t>{tokenizer.encode(" ")[0], tokenizer.special().eot}));
  EXPECT_EQ(decoder.config_int("max_initial_timestamp_index", 0, 1500), 50);
  // Not one of the published sizes: every head of the upper half of the layers.
  EXPECT_EQ(decoder.config_pairs("alignment_heads", 0, 1),
            (std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {0, 1}}));
}

TEST_F(Convert, OpenAiCheckpointsNeedATokenizer) {
  EXPECT_NE(test::error_of([&] { model(golden("openai.pt")); }).find("--tokenizer"),
            std::string::npos);
}

TEST_F(Convert, MissingUnexpectedAndMisshapenTensorsAreNamed) {
  const auto refusal = [&](const std::string& old_text, const std::string& new_text) {
    const fs::path source = folder() / "changed";
    fs::remove_all(source);
    copy_folder(golden("huggingface"), source);
    replace_in_file(source / "config.json", old_text, new_text);
    return test::error_of([&] { model(source); });
  };
  EXPECT_NE(refusal("\"encoder_layers\": 2", "\"encoder_layers\": 3").find("encoder.layers.2."),
            std::string::npos);
  EXPECT_NE(refusal("\"encoder_layers\": 2", "\"encoder_layers\": 1").find("encoder.layers.1."),
            std::string::npos);
  EXPECT_NE(refusal("\"num_mel_bins\": 4", "\"num_mel_bins\": 80").find("[16, 4, 3]"),
            std::string::npos);
  EXPECT_NE(refusal("\"decoder_ffn_dim\": 64", "\"decoder_ffn_dim\": 32").find("fc1"),
            std::string::npos);
  EXPECT_NE(refusal("\"d_model\": 16", "\"d_model\": 15").find("d_model"), std::string::npos);
  EXPECT_NE(refusal("\"d_model\": 16", "\"d_model\": -1").find("d_model"), std::string::npos);
  EXPECT_NE(refusal("\"model_type\": \"whisper\"", "\"model_type\": \"bart\"").find("bart"),
            std::string::npos);
  EXPECT_NE(
      refusal("\"scale_embedding\": false", "\"scale_embedding\": true").find("scale_embedding"),
      std::string::npos);
}

TEST_F(Convert, AnOutputMatrixOfItsOwnIsRefused) {
  const fs::path source = folder() / "untied";
  copy_folder(golden("huggingface"), source);
  const Safetensors original(golden("huggingface/model.safetensors"));
  const auto write = [&](bool same) {
    std::vector<TensorInfo> tensors = {{"proj_out.weight", nn::DType::kF16, {1772, 16}}};
    for (const std::string& name : original.names())
      tensors.push_back({name, nn::DType::kF16, original.shape(name)});
    SafetensorsWriter writer(source / "model.safetensors", tensors);
    const auto embedding = original.bytes("model.decoder.embed_tokens.weight");
    std::vector<std::byte> output(embedding.begin(), embedding.end());
    if (!same) output.back() ^= std::byte{1};
    writer.write("proj_out.weight", output);
    for (const std::string& name : original.names()) writer.write(name, original.bytes(name));
    writer.commit();
  };
  write(true);
  expect_golden_weights(model(source), "narrow");
  write(false);
  EXPECT_NE(test::error_of([&] { model(source); }).find("proj_out"), std::string::npos);
}

TEST_F(Convert, ValuesThatF16CannotHoldAreRefused) {
  const fs::path source = folder() / "large";
  copy_folder(golden("huggingface"), source);
  const Safetensors original(golden("huggingface/model.safetensors"));
  const auto write = [&](float value) {
    std::vector<TensorInfo> tensors;
    for (const std::string& name : original.names())
      tensors.push_back({name, nn::DType::kF32, original.shape(name)});
    SafetensorsWriter writer(source / "model.safetensors", tensors);
    for (const TensorInfo& tensor : writer.order()) {
      std::vector<float> values = values_of(original.tensor(tensor.name));
      if (tensor.name == "model.encoder.conv2.weight") values[5] = value;
      writer.write(tensor.name, std::as_bytes(std::span(values)));
    }
    writer.commit();
  };
  write(65504.0f);
  EXPECT_EQ(values_of(model(source).stage("encoder").weights().tensor("conv2.weight"))[5],
            65504.0f);
  write(70000.0f);
  EXPECT_NE(test::error_of([&] { model(source); }).find("--weights f32"), std::string::npos);
  EXPECT_EQ(values_of(model(source, {.weights = WeightStorage::kF32})
                          .stage("encoder")
                          .weights()
                          .tensor("conv2.weight"))[5],
            70000.0f);
  write(std::nanf(""));
  EXPECT_NE(test::error_of([&] { model(source); }).find("conv2.weight"), std::string::npos);
}

TEST_F(Convert, InterruptedConversionsLeaveNothing) {
  const fs::path destination = folder() / "interrupted";
  for (const char* stop_at : {"encoder.conv1.weight", "decoder.layer_norm.bias"}) {
    bool stopped = false;
    const ConvertOptions options{.progress = [&](const ConvertProgress& progress) {
      if (progress.tensor != stop_at) return;
      stopped = true;
      throw Stopped();
    }};
    EXPECT_THROW(convert(golden("huggingface"), destination, options), Stopped);
    EXPECT_TRUE(stopped);
    EXPECT_TRUE(fs::is_empty(folder()));
  }
}

TEST_F(Convert, LicenceComesFromTheModelCard) {
  const fs::path source = folder() / "card";
  copy_folder(golden("huggingface"), source);
  const auto licence = [&](const std::string& card) {
    std::ofstream(source / "README.md") << card;
    return model(source).manifest().licence;
  };
  EXPECT_EQ(licence("---\nlanguage: en\nlicense: apache-2.0\ntags:\n- x\n---\n# Whisper\n"),
            "apache-2.0");
  EXPECT_EQ(licence("---\nlanguage: en\n---\n\nlicense: none of the card's\n"), "");
  EXPECT_EQ(licence("---\nlicense:\n---\n"), "");
  EXPECT_EQ(licence("no front matter\nlicense: mit\n"), "");
}

TEST_F(Convert, ProgressReachesTheTotal) {
  ConvertProgress last;
  convert(golden("huggingface"), folder() / "m", {.progress = [&](const ConvertProgress& progress) {
            EXPECT_GT(progress.done_bytes, last.done_bytes);
            last = progress;
          }});
  EXPECT_EQ(last.done_bytes, last.total_bytes);
}

TEST_F(Convert, ReplacesModelFoldersAndNothingElse) {
  const fs::path destination = folder() / "model";
  fs::create_directories(destination);  // an empty folder is no loss
  convert(golden("huggingface"), destination, {.name = "first"});
  convert(golden("huggingface"), destination, {.name = "second"});
  EXPECT_EQ(Model::open(destination).name(), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder()), {}), 1);

  fs::remove(destination / "model.json");
  EXPECT_NE(test::error_of([&] { convert(golden("huggingface"), destination); }).find("exists"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(destination / "encoder" / "stage.json"));
  std::ofstream(folder() / "file") << "precious";
  EXPECT_THROW(convert(golden("huggingface"), folder() / "file"), Error);
  EXPECT_EQ(read_file(folder() / "file", 100), "precious");
}

TEST_F(Convert, OtherFilesAreRefusedWithAdvice) {
  const auto refusal = [&](const std::string& name, const std::string& contents) {
    std::ofstream(folder() / name) << contents;
    return test::error_of([&] { model(folder() / name); });
  };
  EXPECT_NE(refusal("a.safetensors", "12345678").find("config.json"), std::string::npos);
  EXPECT_NE(
      refusal("old.pt", "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 \x6a\xa8\x50\x19.").find("torch.save()"),
      std::string::npos);
  EXPECT_NE(refusal("x.gguf", "GGUF").find("cut short"), std::string::npos);
  EXPECT_NE(refusal("x.bin", "GGML").find("ggml-*.bin"), std::string::npos);
  EXPECT_THROW(model(folder() / "absent"), Error);
  EXPECT_THROW(model(folder()), Error);  // a folder without config.json
  const Model converted = model(golden("huggingface"));
  EXPECT_NE(test::error_of([&] { model(converted.path()); }).find("already"), std::string::npos);
  EXPECT_NE(test::error_of([&] { model(golden("huggingface"), {.name = "../x"}); }).find("name"),
            std::string::npos);
}

TEST_F(Convert, TruncatedSourcesAreRefused) {
  for (const char* name : {"openai.pt", "ggml-q8.bin", "ggml-q4-q5.bin"}) {
    const std::string whole = read_file(golden(name), 1 << 20);
    for (const double fraction : {0.01, 0.3, 0.7, 0.999}) {
      std::ofstream(folder() / name)
          << whole.substr(0, static_cast<size_t>(fraction * static_cast<double>(whole.size())));
      EXPECT_NE(test::error_of([&] { model(folder() / name, with_tokenizer()); }), "")
          << name << " " << fraction;
    }
  }
}

TEST(AlignmentHeads, ArePublishedOnesForKnownSizes) {
  WhisperDims dims{.d_model = 384,
                   .vocab_size = 51864,
                   .encoder_layers = 4,
                   .decoder_layers = 4,
                   .decoder_attention_heads = 6};
  EXPECT_EQ(alignment_heads(dims).size(), 8u);
  EXPECT_EQ(alignment_heads(dims)[0], std::pair(1, 0));
  dims.vocab_size = 51865;
  EXPECT_EQ(alignment_heads(dims)[0], std::pair(2, 2));
  dims.decoder_layers = 2;  // a distilled model
  EXPECT_EQ(alignment_heads(dims).size(), 6u);
  EXPECT_EQ(alignment_heads(dims)[0], std::pair(1, 0));
  const WhisperDims turbo{.d_model = 1280,
                          .vocab_size = 51866,
                          .encoder_layers = 32,
                          .decoder_layers = 4,
                          .decoder_attention_heads = 20};
  EXPECT_EQ(alignment_heads(turbo),
            (AlignmentHeads{{2, 4}, {2, 11}, {3, 3}, {3, 6}, {3, 11}, {3, 14}}));
}

// The pilot checkpoint in f16 (Hugging Face) and in q8_0 (whisper.cpp, with its own vocabulary).
TEST_F(Convert, PilotFromBothFormsAgreesWithinQuantization) {
  const auto pilot = test::shared_path("models/pilot-en");
  if (!pilot) GTEST_SKIP() << test::kNoShared;
  const Model exact = model(*pilot);
  std::string notice;
  ConvertOptions noticed;
  noticed.notice = [&](const std::string& told) { notice = told; };
  const Model quantized = model(*pilot / "ggml-model-q8_0.bin", noticed);
  EXPECT_NE(notice.find("340 tokens are lost"), std::string::npos) << notice;
  double worst = 0;
  for (const char* stage : {"encoder", "decoder"}) {
    const Safetensors& a = exact.stage(stage).weights();
    const Safetensors& b = quantized.stage(stage).weights();
    ASSERT_EQ(a.names(), b.names());
    for (const std::string& name : a.names()) {
      const std::vector<float> x = values_of(a.tensor(name));
      const std::vector<float> y = values_of(b.tensor(name, a.shape(name)));
      const bool is_quantized = a.shape(name).rank() == 2 && name != "embed_positions.weight";
      for (size_t block = 0; block < x.size(); block += 32) {
        const size_t end = std::min(block + 32, x.size());
        float largest = 0;
        float error = 0;
        for (size_t i = block; i < end; ++i) {
          largest = std::max(largest, std::fabs(x[i]));
          error = std::max(error, std::fabs(x[i] - y[i]));
        }
        if (!is_quantized) {  // f16 on one side, f32 on the other
          ASSERT_LE(error, largest / 2048) << stage << " " << name;
        } else if (largest > 0) {
          worst = std::max(worst, static_cast<double>(error / largest));
        }
      }
    }
  }
  // Half a step of 127, and the roundings of the scale and of the result to f16.
  EXPECT_GT(worst, 0.0);
  EXPECT_LT(worst, 0.5 / 127 + 3.0 / 2048);

  const auto a = text::Tokenizer::from_path(exact.file("tokenizer.json"));
  const auto b = text::Tokenizer::from_path(quantized.file("tokenizer.json"));
  const std::string sentence = " Turn on the lights in the kitchen at 7:30, please!";
  EXPECT_EQ(a.encode(sentence), b.encode(sentence));
  EXPECT_EQ(a.special().no_timestamps, b.special().no_timestamps);
  EXPECT_EQ(exact.stage("encoder").config(), quantized.stage("encoder").config());
}

}  // namespace
}  // namespace parley::stage
