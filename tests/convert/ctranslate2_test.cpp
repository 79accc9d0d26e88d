// A tiny Whisper written as CTranslate2's converter writes it, in every storage, must convert to
// the same weights as its Hugging Face form; published models too, where they are at hand.
#include "parley/convert/ctranslate2.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <map>

#include "parley/convert/convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/model.h"
#include "parley/tests/support.h"
#include "parley/text/tokenizer/byte_level.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return test::source_path("tests/convert/golden/" + name);
}

// CTranslate2's numbers of its types.
enum Type : uint8_t { kF32, kI8, kI16, kI32, kF16, kBF16 };

struct Variable {
  Type type = kF32;
  std::vector<uint32_t> shape = {};
  std::string bytes = {};
};
using Variables = std::map<std::string, Variable>;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
void append(std::string& file, T value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_string(std::string& file, const std::string& text) {
  append(file, static_cast<uint16_t>(text.size() + 1));
  file += text + '\0';
}

// model.bin. Where `aliases`, equal variables are stored once, under the name that comes first.
std::string serialize(const Variables& variables, uint32_t version, bool aliases = true) {
  std::map<std::string, std::string> alias_of;
  for (const auto& [name, variable] : variables) {
    if (!aliases || variable.shape.empty() || name.ends_with("_scale")) continue;
    for (const auto& [first, other] : variables) {
      if (first == name) break;
      if (other.shape == variable.shape && other.bytes == variable.bytes) alias_of[name] = first;
      if (alias_of.contains(name)) break;
    }
  }
  const auto stored = [&](const std::string& name) {
    const bool scale = name.ends_with("_scale");
    return !alias_of.contains(scale ? name.substr(0, name.size() - 6) : name);
  };
  std::string file;
  append(file, version);
  append_string(file, "WhisperSpec");
  append(file, uint32_t{3});
  append(file, static_cast<uint32_t>(std::ranges::count_if(
                   variables, [&](const auto& entry) { return stored(entry.first); })));
  for (const auto& [name, variable] : variables) {
    if (!stored(name)) continue;
    append_string(file, name);
    append(file, static_cast<uint8_t>(variable.shape.size()));
    for (const uint32_t dim : variable.shape) append(file, dim);
    const auto bytes = static_cast<uint32_t>(variable.bytes.size());
    constexpr uint8_t kWidths[] = {4, 1, 2, 4, 2, 2};
    const uint8_t width = kWidths[variable.type];
    append(file, version >= 4 ? static_cast<uint8_t>(variable.type) : width);
    append(file, version >= 4 ? bytes : bytes / width);
    file += variable.bytes;
  }
  if (version < 3) return file;
  append(file, static_cast<uint32_t>(alias_of.size()));
  for (const auto& [alias, name] : alias_of) {
    append_string(file, alias);
    append_string(file, name);
  }
  return file;
}

// The golden model's tensors as variables: matrices as `weights`, all others as `vectors`.
class Writer {
 public:
  Writer(Type weights, Type vectors)
      : source_(golden("huggingface/model.safetensors")), weights_(weights), vectors_(vectors) {}

  Variables write() {
    for (const std::string stage : {"encoder", "decoder"}) {
      variables_[stage + "/num_heads"] = {kI16, {}, bytes_of<int16_t>({2})};
      const int layers = stage == "encoder" ? 2 : 1;
      for (int i = 0; i < layers; ++i) layer(stage, std::to_string(i));
      norm(stage + "/layer_norm", stage + ".layer_norm");
      vector(stage + "/position_encodings/encodings", {stage + ".embed_positions.weight"});
    }
    for (const std::string conv : {"conv1", "conv2"}) linear("encoder/" + conv, "encoder." + conv);
    matrix("decoder/embeddings/weight", {"decoder.embed_tokens.weight"});
    matrix("decoder/projection/weight", {"decoder.embed_tokens.weight"});
    variables_["decoder/activation"] = {kI8, {}, bytes_of<int8_t>({3})};
    variables_["decoder/pre_norm"] = {kI8, {}, bytes_of<int8_t>({1})};
    variables_["decoder/scale_embeddings"] = {kI8, {}, bytes_of<int8_t>({0})};
    return variables_;
  }

 private:
  void layer(const std::string& stage, const std::string& number) {
    const std::string theirs = stage + "/layer_" + number;
    const std::string ours = stage + ".layers." + number + ".";
    const std::string self = ours + "self_attn.";
    matrix(theirs + "/self_attention/linear_0/weight",
           {self + "q_proj.weight", self + "k_proj.weight", self + "v_proj.weight"});
    vector(theirs + "/self_attention/linear_0/bias",
           {self + "q_proj.bias", "zeros", self + "v_proj.bias"});
    linear(theirs + "/self_attention/linear_1", self + "out_proj");
    norm(theirs + "/self_attention/layer_norm", ours + "self_attn_layer_norm");
    linear(theirs + "/ffn/linear_0", ours + "fc1");
    linear(theirs + "/ffn/linear_1", ours + "fc2");
    norm(theirs + "/ffn/layer_norm", ours + "final_layer_norm");
    if (stage == "encoder") return;
    const std::string cross = ours + "encoder_attn.";
    linear(theirs + "/attention/linear_0", cross + "q_proj");
    matrix(theirs + "/attention/linear_1/weight",
           {cross + "k_proj.weight", cross + "v_proj.weight"});
    vector(theirs + "/attention/linear_1/bias", {"zeros", cross + "v_proj.bias"});
    linear(theirs + "/attention/linear_2", cross + "out_proj");
    norm(theirs + "/attention/layer_norm", ours + "encoder_attn_layer_norm");
  }
  void linear(const std::string& theirs, const std::string& ours) {
    matrix(theirs + "/weight", {ours + ".weight"});
    vector(theirs + "/bias", {ours + ".bias"});
  }
  void norm(const std::string& theirs, const std::string& ours) {
    vector(theirs + "/gamma", {ours + ".weight"});
    vector(theirs + "/beta", {ours + ".bias"});
  }

  // The tensors one below the other.
  std::vector<float> join(const std::vector<std::string>& ours, std::vector<uint32_t>& shape) {
    std::vector<float> values;
    for (const std::string& name : ours) {
      if (name == "zeros") {
        values.resize(values.size() + 16);
        shape = {static_cast<uint32_t>(values.size())};
        continue;
      }
      const nn::Tensor tensor = source_.tensor("model." + name);
      const size_t at = values.size();
      values.resize(at + static_cast<size_t>(tensor.shape.elements()));
      nn::to_f32(tensor.data, tensor.dtype, values.size() - at, values.data() + at);
      const uint32_t rows = shape.empty() ? 0 : shape[0];
      shape.clear();
      for (int axis = 0; axis < tensor.shape.rank(); ++axis)
        shape.push_back(static_cast<uint32_t>(tensor.shape[axis]));
      shape[0] += rows;
    }
    return values;
  }

  static std::string halves(const std::vector<float>& values, Type type) {
    std::vector<uint16_t> bits;
    for (const float value : values)
      bits.push_back(type == kF16 ? nn::f32_to_f16(value) : nn::f32_to_bf16(value));
    return bytes_of(bits);
  }

  void vector(const std::string& theirs, const std::vector<std::string>& ours) {
    Variable variable{.type = vectors_};
    const std::vector<float> values = join(ours, variable.shape);
    variable.bytes = vectors_ == kF32 ? bytes_of(values) : halves(values, vectors_);
    variables_[theirs] = variable;
  }

  // All golden values are multiples of 1/512 between -1/4 and 7/32: a byte holds them exactly. A
  // row of small ones has twice the scale.
  void matrix(const std::string& theirs, const std::vector<std::string>& ours) {
    Variable variable{.type = weights_};
    const std::vector<float> values = join(ours, variable.shape);
    if (weights_ == kF32) {
      variable.bytes = bytes_of(values);
    } else if (weights_ == kF16 || weights_ == kBF16) {
      variable.bytes = halves(values, weights_);
    } else if (weights_ == kI16) {
      std::vector<int16_t> numbers;
      for (const float value : values) numbers.push_back(static_cast<int16_t>(value * 4096));
      variable.bytes = bytes_of(numbers);
      variables_[theirs + "_scale"] = {kF32, {}, bytes_of<float>({4096})};
    } else {
      quantize(values, variable, theirs + "_scale");
    }
    variables_[theirs] = variable;
  }

  void quantize(const std::vector<float>& values, Variable& variable,
                const std::string& scale_name) {
    const size_t rows = variable.shape[0];
    const size_t row = values.size() / rows;
    std::vector<int8_t> numbers;
    std::vector<float> scales;
    for (size_t r = 0; r < rows; ++r) {
      float largest = 0;
      for (size_t i = 0; i < row; ++i) largest = std::max(largest, std::fabs(values[r * row + i]));
      scales.push_back(largest < 0.12f ? 1024 : 512);
      for (size_t i = 0; i < row; ++i)
        numbers.push_back(static_cast<int8_t>(values[r * row + i] * scales.back()));
    }
    variable.bytes = bytes_of(numbers);
    variables_[scale_name] = {kF32, {static_cast<uint32_t>(rows)}, bytes_of(scales)};
  }

  Safetensors source_;
  Type weights_, vectors_;
  Variables variables_;
};

Variables golden_variables(Type weights, Type vectors) { return Writer(weights, vectors).write(); }

std::string error_of(std::string_view file) {
  return test::error_of([&] { parse_ctranslate2(std::as_bytes(std::span(file)), "model.bin"); });
}

class CTranslate2 : public testing::Test {
 protected:
  // A folder of faster-whisper with this model.bin.
  fs::path folder_with(const std::string& model_bin) {
    const fs::path path = folder_.path() / ("ct2-" + std::to_string(count_++));
    fs::create_directories(path);
    write(path / "model.bin", model_bin);
    write(path / "config.json", R"({"alignment_heads": [[0, 1]], "lang_ids": [262],
        "suppress_ids": [1, 2], "suppress_ids_begin": [220, 260]})");
    fs::copy(golden("huggingface/tokenizer.json"), path / "tokenizer.json");
    return path;
  }
  Model model(const fs::path& source, const ConvertOptions& options = {}) {
    const fs::path path = folder_.path() / ("model-" + std::to_string(count_++));
    convert(source, path, options);
    return Model::open(path);
  }
  static void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

 private:
  test::TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(CTranslate2, EveryStorageHoldsTheSameWhisper) {
  const Model expected = model(golden("huggingface"));
  const std::pair<Type, Type> kStorages[] = {{kF32, kF32}, {kF16, kF16}, {kBF16, kBF16},
                                             {kI16, kF32}, {kI8, kF32},  {kI8, kF16},
                                             {kI8, kBF16}};
  for (const auto& [weights, vectors] : kStorages) {
    const Model converted = model(folder_with(serialize(golden_variables(weights, vectors), 6)));
    EXPECT_EQ(converted.digest(), expected.digest()) << weights << " " << vectors;
    for (const char* stage : {"frontend", "encoder", "decoder"}) {
      EXPECT_EQ(converted.stage(stage).config(), expected.stage(stage).config()) << stage;
    }
    EXPECT_EQ(converted.manifest().source["format"], "ctranslate2");
  }
}

TEST_F(CTranslate2, EveryBinaryVersionIsRead) {
  const Model expected = model(golden("huggingface"));
  for (const uint32_t version : {2U, 3U, 4U, 5U, 6U}) {
    const Type vectors = version < 4 ? kF32 : kF16;  // then two bytes mean int16
    for (const Type weights : {vectors, kI8}) {
      const std::string file = serialize(golden_variables(weights, vectors), version, version > 2);
      EXPECT_EQ(model(folder_with(file)).digest(), expected.digest()) << version << " " << weights;
    }
  }
  for (const uint32_t version : {1U, 7U}) {
    EXPECT_NE(error_of(serialize(golden_variables(kF16, kF16), version)).find("binary version"),
              std::string::npos);
  }
}

TEST_F(CTranslate2, AVocabularyServesWhereThereIsNoTokenizer) {
  const auto tokenizer = text::Tokenizer::from_path(golden("huggingface/tokenizer.json"));
  std::vector<std::string> names;
  const nlohmann::json document = read_json(golden("huggingface/tokenizer.json"));
  const nlohmann::json& vocab = document["model"]["vocab"];
  names.resize(vocab.size());
  for (const auto& [name, id] : vocab.items()) names[id.get<size_t>()] = name;
  for (const nlohmann::json& token : document["added_tokens"]) names.push_back(token["content"]);
  names.resize(1770);  // timestamps are known by their place
  names.emplace_back("<|iw|>");

  const fs::path source = folder_with(serialize(golden_variables(kF16, kF16), 6));
  fs::remove(source / "tokenizer.json");
  EXPECT_NE(test::error_of([&] { model(source); }).find("--tokenizer"), std::string::npos);
  const auto same_tokens = [&] {
    const auto converted = text::Tokenizer::from_path(model(source).file("tokenizer.json"));
    EXPECT_EQ(converted.encode(" in the end"), tokenizer.encode(" in the end"));
    EXPECT_EQ(converted.special().no_timestamps, tokenizer.special().no_timestamps);
    EXPECT_EQ(converted.size(), tokenizer.size() + 1);
    EXPECT_EQ(converted.bytes(1770), "");  // not text, though no Whisper has it
    EXPECT_EQ(converted.to_tokenizer_json().find("\"ignore_merges\":true"), std::string::npos);
  };
  std::string lines;
  for (const std::string& name : names) lines += name + "\n";
  write(source / "vocabulary.txt", lines);
  same_tokens();
  fs::remove(source / "vocabulary.txt");
  write(source / "vocabulary.json", nlohmann::json(names).dump());
  same_tokens();
  write(source / "vocabulary.json", R"({"a": 1})");
  EXPECT_NE(test::error_of([&] { model(source); }).find("vocabulary.json"), std::string::npos);
}

TEST_F(CTranslate2, OldInt16WeightsHaveOneScaleForAll) {
  Variables variables = golden_variables(kI16, kF32);
  std::erase_if(variables, [](const auto& entry) { return entry.first.ends_with("_scale"); });
  const std::string file = serialize(variables, 6);
  const WhisperCheckpoint checkpoint =
      parse_ctranslate2(std::as_bytes(std::span(file)), "model.bin");
  const Safetensors source(golden("huggingface/model.safetensors"));
  const std::vector<float> values = values_of(*checkpoint.tensors.at("encoder.conv1.weight"));
  const nn::Tensor expected = source.tensor("model.encoder.conv1.weight");
  std::vector<float> original(values.size());
  nn::to_f32(expected.data, expected.dtype, original.size(), original.data());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_FLOAT_EQ(values[i], original[i] * 4096 / 1000) << i;
}

TEST_F(CTranslate2, OtherModelsAndOptionsAreRefused) {
  const auto changed = [&](const std::string& name, const Variable& variable) {
    Variables variables = golden_variables(kF32, kF32);
    variables[name] = variable;
    return error_of(serialize(variables, 6));
  };
  const auto flag = [](int8_t value) { return Variable{kI8, {}, bytes_of<int8_t>({value})}; };
  EXPECT_NE(changed("decoder/scale_embeddings", flag(1)).find("scale_embeddings"),
            std::string::npos);
  EXPECT_NE(changed("decoder/activation", flag(0)).find("activation"), std::string::npos);
  EXPECT_NE(changed("encoder/num_heads", flag(3)).find("heads"), std::string::npos);
  EXPECT_NE(changed("encoder/num_heads", {kF32, {}, bytes_of<float>({2})}).find("integer"),
            std::string::npos);
  EXPECT_NE(changed("encoder/layer_0/ffn/linear_0/low_rank_weight_1", {kF32, {1}, "1234"})
                .find("low rank"),
            std::string::npos);
  EXPECT_NE(changed("decoder/layer_0/attention/linear_1/bias",
                    {kF32, {32}, bytes_of(std::vector<float>(32, 1.0f))})
                .find("keys"),
            std::string::npos);
  std::vector<float> output(1772 * 16);
  EXPECT_NE(
      changed("decoder/projection/weight", {kF32, {1772, 16}, bytes_of(output)}).find("proj_out"),
      std::string::npos);
  std::string other = serialize(golden_variables(kF32, kF32), 6);
  other.replace(other.find("WhisperSpec"), 11, "TransfoSpec");
  EXPECT_NE(error_of(other).find("TransfoSpec"), std::string::npos);
}

TEST_F(CTranslate2, MissingScalesAndCutFilesAreRefused) {
  Variables variables = golden_variables(kI8, kF32);
  variables.erase("encoder/conv1/weight_scale");
  EXPECT_NE(error_of(serialize(variables, 6)).find("conv1/weight_scale"), std::string::npos);
  variables["encoder/conv1/weight_scale"] = {kF32, {5}, std::string(20, '\0')};
  EXPECT_NE(error_of(serialize(variables, 6)).find("does not fit"), std::string::npos);

  const std::string whole = serialize(golden_variables(kI8, kF16), 6);
  EXPECT_EQ(error_of(whole), "");
  for (size_t size = 0; size < whole.size(); size += 1 + size / 20)
    ASSERT_NE(error_of(std::string_view(whole).substr(0, size)).find("bytes are missing"),
              std::string::npos)
        << size;
  EXPECT_NE(error_of(whole + "x").find("follow its end"), std::string::npos);
}

TEST_F(CTranslate2, TheFileItselfIsNotTheModel) {
  const fs::path source = folder_with(serialize(golden_variables(kF16, kF16), 6));
  EXPECT_NE(test::error_of([&] { model(source / "model.bin"); }).find("give the folder"),
            std::string::npos);
}

TEST_F(CTranslate2, LanguagesThatTheTokenizerLacksAreReported) {
  const fs::path source = folder_with(serialize(golden_variables(kF16, kF16), 6));
  write(source / "config.json", R"({"lang_ids": [262, 264]})");
  std::string told;
  ConvertOptions options;
  options.notice = [&](const std::string& notice) { told = notice; };
  model(source, options);
  EXPECT_NE(told.find("lang_ids"), std::string::npos) << told;
}

// Published Whispers in both forms: the same tensors, facts and tokens.
TEST_F(CTranslate2, PublishedModelsEqualTheirHuggingFaceForm) {
  for (const std::string name : {"tiny.en", "base"}) {
    const auto theirs = test::published_path("ct2/" + name);
    const auto original = test::published_path("hf/" + name);
    if (!theirs || !original) GTEST_SKIP() << test::kNoPublished;
    const Model a = model(*original);
    const Model b = model(*theirs);
    EXPECT_EQ(a.digest(), b.digest()) << name;
    for (const char* stage : {"frontend", "encoder", "decoder"})
      EXPECT_EQ(a.stage(stage).config(), b.stage(stage).config()) << name << " " << stage;
    EXPECT_EQ(text::Tokenizer::from_path(a.file("tokenizer.json")).to_tokenizer_json(),
              text::Tokenizer::from_path(b.file("tokenizer.json")).to_tokenizer_json());
  }
}

}  // namespace
}  // namespace parley::stage
