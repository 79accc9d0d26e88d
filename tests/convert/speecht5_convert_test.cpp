#include "parley/convert/speecht5_convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>

#include "parley/convert/convert.h"
#include "parley/convert/npy.h"
#include "parley/convert/voices_convert.h"
#include "parley/core/base/error.h"
#include "parley/core/base/file.h"
#include "parley/core/model/inspect.h"
#include "parley/core/model/mel_contract.h"
#include "parley/core/model/model.h"
#include "parley/core/model/speecht5.h"
#include "parley/core/model/voices.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path source(const std::string& name) {
  return test::source_path("tests/golden/speecht5/" + name);
}

// A copy of a checkpoint that may be damaged.
struct Copy {
  test::TemporaryFolder folder;
  fs::path path = folder.path() / "checkpoint";
  fs::path model = folder.path() / "model";

  explicit Copy(const std::string& name) {
    fs::copy(source(name), path, fs::copy_options::recursive);
  }
  void edit(const std::string& file, const std::function<void(json&)>& change) const {
    json content = json::parse(read_file(path / file, 1 << 20));
    change(content);
    std::ofstream(path / file) << content;
  }
  std::string refusal(const ConvertOptions& options = {}) const {
    const std::string message = test::error_of([&] { convert(path, model, options); });
    EXPECT_FALSE(fs::exists(model)) << message;
    return message;
  }
};

TEST(SpeechT5Convert, MakesStagesThatDeclareTheirMel) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "voice";
  convert(source("small"), path, {.voices = source("small") / "voices"});
  const Model model = Model::open(path);
  EXPECT_EQ(model.kind(), "tts");
  EXPECT_EQ(model.manifest().stages,
            (std::vector<std::string>{"text_encoder", "mel_decoder", "voices"}));
  EXPECT_EQ(model.stage("text_encoder").kind(), kTextEncoderKind);
  EXPECT_EQ(mel_contract(model.stage("mel_decoder")), MelContract{.n_mels = 20});
  EXPECT_EQ(model.stage("mel_decoder").config_int("reduction_factor", 1, 64), 2);
  EXPECT_EQ(model.stage("mel_decoder").config_pairs("alignment_heads", 9, 9).size(), 4u);
  EXPECT_TRUE(fs::is_regular_file(model.file(kSentencePieceFile)));
  EXPECT_NO_THROW(model.verify());
  EXPECT_NE(inspect(model).find("mel_decoder"), std::string::npos);
}

// How long its sentences were, and whether it knows letters: not known of most checkpoints.
TEST(SpeechT5Convert, WhatTheVoiceLearnedIsKept) {
  const Copy copy("small");
  convert(copy.path, copy.model, {});
  EXPECT_FALSE(Model::open(copy.model).stage("text_encoder").has_config("learned_size"));
  copy.edit("config.json", [](json& c) { c["learned_size"] = 40, c["letter_names"] = true; });
  convert(copy.path, copy.folder.path() / "told", {});
  const Model model = Model::open(copy.folder.path() / "told");
  EXPECT_EQ(model.stage("text_encoder").config_int("learned_size", 1, 1000), 40);
  EXPECT_TRUE(model.stage("text_encoder").config_bool("letter_names"));
}

TEST(SpeechT5Convert, BothFileFormatsAreRead) {
  for (const std::string name : {"small", "bin"}) {
    const test::TemporaryFolder folder;
    convert(source(name), folder.path() / "voice", {.weights = WeightStorage::kF32});
    const Model model = Model::open(folder.path() / "voice");
    const Safetensors& weights = model.stage("mel_decoder").weights();
    EXPECT_TRUE(weights.contains("postnet.layers.0.conv.bias")) << name;
    for (const std::string& tensor : weights.names())
      EXPECT_EQ(tensor.find("batch_norm"), std::string::npos) << tensor;
  }
}

// Folded into the convolution: the reference's eval-mode BatchNorm1d of the same input.
TEST(SpeechT5Convert, BatchNormIsFolded) {
  const test::TemporaryFolder folder;
  convert(source("small"), folder.path() / "voice", {.weights = WeightStorage::kF32});
  const Model model = Model::open(folder.path() / "voice");
  const Safetensors theirs(source("small") / "model.safetensors");
  const std::string layer = "speech_decoder_postnet.layers.2.";
  const auto of = [&](const std::string& name) {
    const nn::Tensor tensor = theirs.tensor(layer + name);
    std::vector<float> values(static_cast<size_t>(tensor.shape.elements()));
    nn::to_f32(tensor.data, tensor.dtype, values.size(), values.data());
    return values;
  };
  const nn::Tensor weight =
      model.stage("mel_decoder").weights().tensor("postnet.layers.2.conv.weight");
  const nn::Tensor bias = model.stage("mel_decoder").weights().tensor("postnet.layers.2.conv.bias");
  const size_t row = static_cast<size_t>(weight.shape[1] * weight.shape[2]);
  for (size_t n = 0; n < static_cast<size_t>(weight.shape[0]); ++n) {
    const float scale =
        of("batch_norm.weight")[n] / std::sqrt(of("batch_norm.running_var")[n] + 1e-5f);
    EXPECT_NEAR(weight.f32()[n * row + 3], of("conv.weight")[n * row + 3] * scale, 1e-6);
    EXPECT_NEAR(bias.f32()[n], of("batch_norm.bias")[n] - of("batch_norm.running_mean")[n] * scale,
                1e-6);
  }
}

TEST(SpeechT5Convert, WrongCheckpointsAreRefusedByWhatIsWrong) {
  const auto expect = [](const Copy& copy, const std::string& part) {
    const std::string message = copy.refusal();
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const auto config = [&](const std::string& key, const json& value, const std::string& part) {
    const Copy copy("small");
    copy.edit("config.json", [&](json& c) { c[key] = value; });
    expect(copy, part);
  };
  config("hidden_size", 48, "has shape");
  config("hidden_size", "large", "hidden_size");
  config("hidden_size", int64_t{1} << 40, "hidden_size");
  config("encoder_attention_heads", 3, "encoder_attention_heads");
  config("decoder_layers", 3, "layers.2");
  config("decoder_layers", 1, "layers.1");
  config("hidden_act", "relu", "hidden_act");
  config("speech_decoder_postnet_kernel", 4, "speech_decoder_postnet_kernel");
  config("speech_decoder_prenet_dropout", 1, "speech_decoder_prenet_dropout");
  config("vocab_size", 10, "embed_tokens");
  config("model_type", "bert", "model_type");
  config("learned_size", 0, "learned_size");
  {
    const Copy copy("small");
    copy.edit("preprocessor_config.json", [](json& c) { c["do_normalize"] = true; });
    expect(copy, "do_normalize");
  }
  {
    const Copy copy("small");
    fs::remove(copy.path / "spm_char.model");
    expect(copy, "spm_char.model");
  }
  {
    const Copy copy("small");
    std::ofstream(copy.path / "spm_char.model") << "no such thing";
    expect(copy, "SentencePiece");
  }
}

TEST(SpeechT5Convert, OtherFrontEndsAreInTheContract) {
  const Copy copy("small");
  copy.edit("preprocessor_config.json", [](json& c) {
    c["fmin"] = 0;
    c["hop_length"] = 8;
  });
  convert(copy.path, copy.model);
  const MelContract mel = mel_contract(Model::open(copy.model).stage("mel_decoder"));
  EXPECT_EQ(mel.f_min, 0);
  EXPECT_EQ(mel.hop_length, 128);
}

TEST(Voices, ComeFromFilesOfBothKindsAndAnyShape) {
  const Safetensors golden(source("small") / "golden.safetensors");
  const std::vector<Voice> voices = read_voices(source("small") / "voices", 24);
  ASSERT_EQ(voices.size(), 3u);
  EXPECT_EQ(voices[0].name, "anna");
  EXPECT_EQ(voices[1].name, "bert");  // f8 of shape [1, 24]
  EXPECT_EQ(voices[2].name, "cleo");  // from a .safetensors file
  EXPECT_EQ(voices[0].vector[5], golden.tensor("speaker").f32()[5]);
  EXPECT_NEAR(voices[2].vector[5], voices[0].vector[5] - voices[1].vector[5], 1e-6);
}

TEST(Voices, AreFoundByNameAndTheFirstIsTheDefault) {
  const test::TemporaryFolder folder;
  convert(source("small"), folder.path() / "voice", {.voices = source("small") / "voices"});
  const Model model = Model::open(folder.path() / "voice");
  const Stage& stage = model.stage("voices");
  EXPECT_EQ(voice_names(stage), (std::vector<std::string>{"anna", "bert", "cleo"}));
  EXPECT_EQ(default_voice(stage), "anna");
  EXPECT_EQ(voice_vector(stage, "cleo").size(), 24u);
  EXPECT_NE(test::error_of([&] { voice_vector(stage, "dora"); }).find("dora"), std::string::npos);
}

TEST(Voices, OfAnotherSizeAreRefused) {
  const Copy copy("small");
  const std::string message = copy.refusal({.voices = source("bin") / "voices"});
  EXPECT_NE(message.find("8 numbers"), std::string::npos) << message;
  EXPECT_NE(message.find("24"), std::string::npos) << message;
}

TEST(Voices, CanBeExchangedInAModelFolder) {
  const test::TemporaryFolder folder;
  const fs::path first = folder.path() / "first";
  const fs::path second = folder.path() / "second";
  convert(source("small"), first, {.voices = source("small") / "voices"});
  convert(first, second, {.voices = source("small") / "voices" / "bert.npy"});
  EXPECT_EQ(voice_names(Model::open(second).stage("voices")), std::vector<std::string>{"bert"});
  EXPECT_NO_THROW(Model::open(second).verify());
  EXPECT_EQ(voice_names(Model::open(first).stage("voices")).size(), 3u);
  const std::string message = test::error_of([&] { convert(first, folder.path() / "third"); });
  EXPECT_NE(message.find("--voices"), std::string::npos) << message;
}

std::string npy(const std::string& header, const std::string& data, int version = 1) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  if (version > 1) file += std::string(2, '\0');
  return file + header + data;
}

NpyArray parse(const std::string& file) {
  return parse_npy(std::as_bytes(std::span(file)), "x.npy", 100);
}

TEST(Npy, ReadsItsThreeVersionsAndTypes) {
  const std::string f4("\0\0\x80\x3f\0\0\0\xc0", 8);  // 1, -2
  const std::string f2("\0\x3c\0\xc0", 4);
  const auto header = [](const std::string& type, const std::string& shape) {
    return "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  };
  const std::vector<float> expected = {1, -2};
  for (const int version : {1, 2, 3})
    EXPECT_EQ(parse(npy(header("<f4", "(2,)"), f4, version)).values, expected);
  EXPECT_EQ(parse(npy(header("<f2", "(1, 2)"), f2)).values, expected);
  EXPECT_EQ(parse(npy(header("<f2", "(1, 2)"), f2)).shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(parse(npy(header("<f4", "()"), f4.substr(0, 4))).values, std::vector<float>{1});
}

TEST(Npy, LiesAreRefused) {
  const std::string data(8, '\0');
  const std::vector<std::string> lies = {
      "",
      "\x93NUMPY",
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", data, 9),
      npy("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", data),
      npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", data),
      npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (101,), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 18446744073709551616), }", ""),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", data),
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2", data),
      npy("{'descr': '<f4', 'fortran_order': False}", data),
      npy("{'descr':", data),
      npy("{'shape': (2,), 'fortran_order':", data),
  };
  for (const std::string& lie : lies) EXPECT_THROW(parse(lie), Error) << lie;
  const std::string honest = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", data);
  for (size_t length = 0; length < honest.size(); ++length)
    EXPECT_THROW(parse(honest.substr(0, length)), Error) << length;
}

}  // namespace
}  // namespace parley::stage
