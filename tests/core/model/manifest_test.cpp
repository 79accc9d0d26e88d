#include "parley/core/model/manifest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "parley/convert/convert.h"
#include "parley/core/base/error.h"
#include "parley/core/model/inspect.h"
#include "parley/core/model/model.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json honest_model() {
  return json::parse(
      R"({"name": "m", "version": "1.0.0", "kind": "stt", "stages": ["encoder", "decoder"],
    "files": [], "licence": "mit", "source": {}, "min_runtime": "0.1.0"})");
}

json honest_stage() {
  return json::parse(R"({"kind": "whisper_encoder", "version": "1.0.0",
    "inputs": [{"name": "mel", "shape": [80, {"min": 1, "max": 3000}, [1, 2, 4]], "dtype": "f32"}],
    "outputs": [], "states": [], "config": {"d_model": 8}, "compression": {"w": {"storage": "int8", "shape": [2, 3]}},
    "weights": {"file": "weights.safetensors", "bytes": 12,
                "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}})");
}

TEST(Manifest, StagesReadBackAsWritten) {
  const StageManifest stage = parse_stage_manifest(honest_stage().dump(), "stage.json");
  ASSERT_EQ(stage.inputs.size(), 1u);
  const std::vector<Dimension>& shape = stage.inputs[0].shape;
  EXPECT_EQ(shape[0].str(), "80");
  EXPECT_EQ(shape[1].str(), "1..3000");
  EXPECT_EQ(shape[2].str(), "1|2|4");
  EXPECT_TRUE(shape[1].accepts(3000) && !shape[1].accepts(3001));
  EXPECT_TRUE(shape[2].accepts(4) && !shape[2].accepts(3));
  EXPECT_EQ(stage.compression[0].shape, nn::Shape({2, 3}));
  EXPECT_EQ(to_json(stage), honest_stage());
  EXPECT_EQ(to_json(parse_model_manifest(honest_model().dump(), "model.json")), honest_model());
}

TEST(Manifest, NewerModelsAreRefusedWithAdvice) {
  json model = honest_model();
  model["min_runtime"] = "99.0.0";
  model["kind"] = "something new";  // what else has changed does not hide the reason
  const std::string message =
      test::error_of([&] { parse_model_manifest(model.dump(), "model.json"); });
  EXPECT_NE(message.find("99.0.0"), std::string::npos) << message;
  EXPECT_NE(message.find("update"), std::string::npos) << message;
  EXPECT_TRUE(older("0.9.10", "0.10.0", ""));
  EXPECT_FALSE(older("1.0.0", "1.0.0", ""));
}

// Each lie must be answered with the name of its field.
TEST(Manifest, LiesOfModelsAreRefusedByField) {
  const std::vector<std::tuple<std::string, json, std::string>> lies = {
      {"/name", 1, "name"},
      {"/name", "", "name"},
      {"/name", "../x", "name"},
      {"/name", ".hidden", "name"},
      {"/version", "1.0", "version"},
      {"/version", "1.0.0.0", "version"},
      {"/version", "1.0.99999999999999999999", "version"},
      {"/min_runtime", nullptr, "min_runtime"},
      {"/kind", "video", "kind"},
      {"/stages", "encoder", "stages"},
      {"/stages", json::array({"a", "a"}), "stages"},
      {"/stages", json::array({"../a"}), "stages"},
      {"/stages", json::array({"/etc"}), "stages"},
      {"/stages", json(std::vector<std::string>(100, "x")), "stages"},
      {"/files", json::array({{{"file", "x"}, {"bytes", -1}, {"sha256", ""}}}), "bytes"},
      {"/files", json::array({{{"file", "x"}, {"bytes", 1}, {"sha256", "abc"}}}), "sha256"},
      {"/source", 3, "source"},
      {"/licence", 3, "licence"},
  };
  for (const auto& [pointer, value, field] : lies) {
    json model = honest_model();
    model[json::json_pointer(pointer)] = value;
    const std::string message =
        test::error_of([&] { parse_model_manifest(model.dump(), "model.json"); });
    EXPECT_EQ(message.substr(0, 10), "model.json") << pointer << " " << value;
    EXPECT_NE(message.find("'" + field + "'"), std::string::npos) << message;
  }
}

TEST(Manifest, LiesOfStagesAreRefusedByField) {
  const json port = honest_stage()["inputs"][0];
  const std::vector<std::tuple<std::string, json, std::string>> lies = {
      {"/kind", 1, "kind"},
      {"/config", json::array(), "config"},
      {"/inputs/0/shape/0", -1, "shape"},
      {"/inputs/0/shape/0", 1.5, "shape"},
      {"/inputs/0/shape/0", "n", "shape"},
      {"/inputs/0/shape/0", json::array(), "shape"},
      {"/inputs/0/shape/0", json::array({1, -1}), "shape"},
      {"/inputs/0/shape/1", {{"min", 5}, {"max", 4}}, "max"},
      {"/inputs/0/shape", json::array({1, 1, 1, 1, 1}), "shape"},
      {"/inputs/0/dtype", "f64", "dtype"},
      {"/inputs/0/name", "a b", "name"},
      {"/inputs", json::array({port, port}), "name"},
      {"/compression", json::array(), "compression"},
      {"/compression/w/storage", 8, "storage"},
      {"/compression/w/shape", json::array({1, 1, 1, 1, 1}), "shape"},
      {"/compression/w/shape", json::array({-1}), "shape"},
      {"/weights/bytes", "12", "bytes"},
      {"/weights/bytes", -12, "bytes"},
      {"/weights/file", "/etc/passwd", "file"},
      {"/weights/file", "../weights.safetensors", "file"},
      {"/weights/file", "a/../../weights.safetensors", "file"},
      {"/weights/file", "", "file"},
      {"/weights/file", "a/", "file"},
      {"/weights/sha256", "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
       "sha256"},
  };
  for (const auto& [pointer, value, field] : lies) {
    json stage = honest_stage();
    stage[json::json_pointer(pointer)] = value;
    const std::string message =
        test::error_of([&] { parse_stage_manifest(stage.dump(), "stage.json"); });
    EXPECT_EQ(message.substr(0, 10), "stage.json") << pointer << " " << value;
    EXPECT_NE(message.find("'" + field + "'"), std::string::npos) << message;
  }
}

TEST(Manifest, JsonIsBounded) {
  EXPECT_NE(test::error_of([] { parse_json("{\"a\":" + std::string(100'000, '['), "x"); }), "");
  EXPECT_NE(test::error_of([] { parse_json("[]", "x"); }), "");
  EXPECT_NE(test::error_of([] { parse_json("{\"a\": 1}", "x", {.bytes = 4}); }), "");
  std::string wide = "{\"a\":[0";
  for (int i = 0; i < 100; ++i) wide += ",0";
  EXPECT_NE(test::error_of([&] { parse_json(wide + "]}", "x", {.values = 50}); }), "");
}

class OpenModel : public testing::Test {
 protected:
  void SetUp() override {
    path_ = folder_.path() / "model";
    convert(test::source_path("tests/convert/golden/huggingface"), path_, {.name = "tiny"});
  }
  void change(const std::string& file, const std::function<void(json&)>& edit) const {
    json contents = read_json(path_ / file);
    edit(contents);
    std::ofstream(path_ / file) << contents;
  }
  std::string refusal() const {
    return test::error_of([&] { Model::open(path_); });
  }
  const fs::path& path() const { return path_; }

 private:
  test::TemporaryFolder folder_;
  fs::path path_;
};

TEST_F(OpenModel, AnswersWhatItHolds) {
  const Model model = Model::open(path());
  EXPECT_TRUE(model.has_stage("encoder"));
  EXPECT_FALSE(model.has_stage("vocoder"));
  EXPECT_NE(test::error_of([&] { model.stage("vocoder"); }).find("vocoder"), std::string::npos);
  EXPECT_NE(test::error_of([&] { model.file("absent"); }).find("absent"), std::string::npos);
  EXPECT_THROW(model.file("../model/model.json"), Error);
  const Stage& decoder = model.stage("decoder");
  EXPECT_NE(test::error_of([&] { decoder.require_kind("whisper_encoder"); }), "");
  EXPECT_NE(test::error_of([&] { decoder.config_int("d_model", 17, 20); }).find("'d_model'"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { decoder.config_int("absent", 0, 20); }).find("decoder/stage.json"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] {
              decoder.config_pairs("alignment_heads", 0, 0);
            }).find("alignment_heads"),
            std::string::npos);
  const std::string text = inspect(model);
  for (const char* part :
       {"tiny 1.0.0, stt", "whisper_decoder", "self_keys", "0..8", "F16", "total"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST_F(OpenModel, SizesAreCheckedOnLoadAndDigestsOnVerify) {
  Model::open(path()).verify();
  const fs::path weights = path() / "decoder/weights.safetensors";
  {
    std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x7b');
  }
  EXPECT_EQ(refusal(), "");
  EXPECT_NE(test::error_of([&] { Model::open(path()).verify(); }).find("weights.safetensors"),
            std::string::npos);
  fs::resize_file(weights, fs::file_size(weights) - 1);
  EXPECT_NE(refusal().find("weights.safetensors"), std::string::npos);
  fs::remove(weights);
  EXPECT_NE(refusal().find("weights.safetensors"), std::string::npos);
}

TEST_F(OpenModel, DamagedFoldersAreRefusedByFile) {
  change("encoder/stage.json",
         [](json& stage) { stage["weights"]["file"] = "../decoder/weights.safetensors"; });
  EXPECT_NE(refusal().find("encoder/stage.json"), std::string::npos);
  change("encoder/stage.json", [](json& stage) { stage.erase("weights"); });
  EXPECT_EQ(refusal(), "");
  EXPECT_NE(test::error_of([&] {
              Model::open(path()).stage("encoder").weights();
            }).find("encoder/stage.json"),
            std::string::npos);
  fs::remove(path() / "tokenizer.json");
  EXPECT_NE(refusal().find("tokenizer.json"), std::string::npos);
  fs::remove(path() / "encoder/stage.json");
  change("model.json", [](json& model) { model["files"] = json::array(); });
  EXPECT_NE(refusal().find("encoder/stage.json"), std::string::npos);
  fs::remove(path() / "model.json");
  EXPECT_NE(refusal().find("parley convert"), std::string::npos);
}

}  // namespace
}  // namespace parley::stage
