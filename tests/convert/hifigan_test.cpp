#include "parley/core/model/hifigan.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "parley/convert/convert.h"
#include "parley/convert/hifigan_convert.h"
#include "parley/core/base/file.h"
#include "parley/core/model/json.h"
#include "parley/core/model/model.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

namespace fs = std::filesystem;

// A copy of one of the tiny generators in tests/golden/hifigan, to be damaged.
class HifiGanCheckpoints : public testing::Test {
 protected:
  fs::path copy(const std::string& name) {
    const fs::path path = folder_.path() / name;
    fs::copy(test::source_path("tests/golden/hifigan/" + name), path, fs::copy_options::recursive);
    return path;
  }
  Model converted(const fs::path& source, const ConvertOptions& options = {}) {
    convert(source, folder_.path() / "model", options);
    return Model::open(folder_.path() / "model");
  }
  std::string refusal(const fs::path& source) {
    return test::error_of([&] { convert(source, folder_.path() / "model"); });
  }
  // The refusal after `change` was made to the configuration.
  std::string refusal(const std::string& name, const std::function<void(nlohmann::json&)>& change) {
    const fs::path source = copy(name);
    nlohmann::json config = read_json(source / "config.json");
    change(config);
    std::ofstream(source / "config.json") << config;
    return refusal(source);
  }
  test::TemporaryFolder folder_;
};

TEST_F(HifiGanCheckpoints, OfTransformersBecomeAStage) {
  const Model model = converted(copy("speecht5"));
  EXPECT_EQ(model.kind(), "tts");
  const Stage& stage = model.stage("vocoder");
  EXPECT_EQ(stage.kind(), kHifiGanKind);
  EXPECT_EQ(parse_hifigan_dims(stage.config(), "config").hop_length(), 256);
  MelContract expected;  // SpeechT5's, with fewer bands
  expected.n_mels = 20;
  EXPECT_EQ(mel_contract(stage), expected);
  EXPECT_EQ(stage.weights().dtype("conv_pre.weight"), "F16");
  EXPECT_EQ(stage.weights().dtype("mean"), "F32");
}

TEST_F(HifiGanCheckpoints, OfJik876HaveTheirOwnMel) {
  const Model model = converted(copy("v2"));
  const MelContract mel = mel_contract(model.stage("vocoder"));
  EXPECT_EQ(mel.sample_rate, 22050);
  EXPECT_EQ(mel.log, "ln");
  EXPECT_EQ(mel.log_floor, 1e-5);
  EXPECT_EQ(mel.f_max, 8000);
  EXPECT_EQ(model.manifest().source["format"], "hifi-gan");
}

TEST_F(HifiGanCheckpoints, AreFoundByFileOrFolder) {
  const fs::path source = copy("v3");
  EXPECT_EQ(converted(source).digest(), converted(source / "g_00000007").digest());
  fs::copy(source / "g_00000007", source / "g_00000005");  // the last one counts
  EXPECT_EQ(converted(source).manifest().source["sha256"],
            converted(source / "g_00000007").manifest().source["sha256"]);
}

// The row norms of a folded weight are the lengths that were stored.
TEST_F(HifiGanCheckpoints, WeightNormIsFolded) {
  for (const char* name : {"v1", "v3"}) {  // torch's old and new names
    const HifiGanCheckpoint checkpoint =
        open_hifigan(test::source_path(std::string("tests/golden/hifigan/") + name));
    for (const auto& [tensor, source] : checkpoint.tensors) {
      EXPECT_TRUE(tensor.ends_with(".weight") || tensor.ends_with(".bias")) << tensor;
    }
    EXPECT_EQ(checkpoint.tensors.size(), hifigan_tensors(checkpoint.dims).size());
  }
}

TEST_F(HifiGanCheckpoints, WithoutSenseAreRefusedByField) {
  using json = nlohmann::json;
  EXPECT_NE(refusal("v1",
                    [](json& c) {
                      c["upsample_rates"] = {8, 8, 2};
                    })
                .find("upsample_kernel_sizes"),
            std::string::npos);
  const auto refused = [&](const char* field, const json& value) {
    fs::remove_all(folder_.path() / "v2");
    const std::string message = refusal("v2", [&](json& c) { c[field] = value; });
    EXPECT_NE(message.find(field), std::string::npos) << field << ": " << message;
  };
  refused("upsample_rates", json::array());
  refused("upsample_rates", {8, 8, 2, -2});
  refused("upsample_rates", {64, 64, 64, 64});
  refused("upsample_kernel_sizes", {15, 16, 4, 4});
  refused("upsample_initial_channel", 24);
  refused("upsample_initial_channel", 1 << 20);
  refused("resblock_kernel_sizes", {3, 7, 10});
  refused("resblock_dilation_sizes", {{1, 3, 5}, {1, 3, 5}});
  refused("resblock_dilation_sizes", {{1, 3, 5}, {1, 3, 5}, {1, 3, 500}});
  refused("resblock", "3");
  refused("hop_size", 300);
}

TEST_F(HifiGanCheckpoints, ThatAreDamagedAreRefused) {
  const fs::path source = copy("v2");
  const std::string bytes = read_file(source / "g_00000007", 1 << 20);
  for (const size_t length : {size_t{0}, size_t{100}, bytes.size() / 2, bytes.size() - 30}) {
    std::ofstream(source / "g_00000007") << bytes.substr(0, length);
    EXPECT_NE(refusal(source), "") << length;
  }
  fs::remove(source / "g_00000007");
  EXPECT_NE(refusal(source).find("g_XXXXXXXX"), std::string::npos);
}

TEST_F(HifiGanCheckpoints, OfOtherSizesAreRefusedByTensor) {
  EXPECT_NE(refusal("v1", [](nlohmann::json& c) { c["num_mels"] = 21; }).find("conv_pre"),
            std::string::npos);
}

TEST_F(HifiGanCheckpoints, OfOtherModelsOfTheSameNameAreRefused) {
  EXPECT_NE(refusal("speecht5",
                    [](nlohmann::json& c) { c["architectures"] = {"FastSpeech2ConformerHifiGan"}; })
                .find("architectures"),
            std::string::npos);
}

TEST_F(HifiGanCheckpoints, HaveNoTokenizer) {
  EXPECT_NE(test::error_of([&] {
              converted(copy("v2"), {.tokenizer = "tokenizer.json"});
            }).find("--tokenizer"),
            std::string::npos);
}

}  // namespace
}  // namespace parley::stage
