#include "parley/core/model/mel_contract.h"

#include <gtest/gtest.h>

#include <fstream>

#include "parley/convert/convert.h"
#include "parley/tests/support.h"

namespace parley::stage {
namespace {

using nlohmann::json;

std::string refusal(const json& mel) {
  return test::error_of([&] { parse_mel_contract(mel, "stage.json: config: mel"); });
}

// A model with two stages that have nothing but their contracts.
Model model_of(const std::filesystem::path& folder, const json& maker, const json& taker) {
  const auto write = [&](const std::string& name, const json& content) {
    std::filesystem::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << content;
  };
  const auto stage = [](const std::string& kind, const json& mel) {
    return json{{"kind", kind}, {"version", "1.0.0"}, {"config", {{"mel", mel}}}};
  };
  write("model.json", {{"name", "m"},
                       {"version", "1.0.0"},
                       {"kind", "tts"},
                       {"stages", {"mel_decoder", "vocoder"}},
                       {"min_runtime", "0.1.0"}});
  write("mel_decoder/stage.json", stage("speecht5_mel_decoder", maker));
  write("vocoder/stage.json", stage("hifigan", taker));
  return Model::open(folder);
}

TEST(MelContract, ReadsBackAsWritten) {
  const MelContract other{.sample_rate = 22050,
                          .f_min = 0,
                          .f_max = 8000,
                          .mel_scale = "htk",
                          .mel_norm = "none",
                          .spectrum = "power",
                          .log = "ln",
                          .log_floor = 1e-5};
  for (const MelContract& contract : {MelContract{}, other})
    EXPECT_EQ(parse_mel_contract(json::parse(to_json(contract).dump()), ""), contract);
}

TEST(MelContract, LiesAreRefusedByField) {
  const std::vector<std::pair<std::string, json>> lies = {
      {"sample_rate", 0},
      {"sample_rate", "16 kHz"},
      {"hop_length", 0},
      {"hop_length", 1025},
      {"win_length", 1025},
      {"n_fft", 1 << 20},
      {"n_mels", 0},
      {"n_mels", 80.5},
      {"f_min", -1},
      {"f_min", 7601},
      {"f_max", 8001},
      {"mel_scale", "bark"},
      {"mel_norm", "loud"},
      {"spectrum", "phase"},
      {"log", "log2"},
      {"log_floor", 0},
      {"log_floor", 2},
      {"normalization", "mean"},
      {"normalization", nullptr},
  };
  for (const auto& [field, lie] : lies) {
    json mel = to_json(MelContract{});
    mel[field] = lie;
    EXPECT_NE(refusal(mel).find("'" + field + "'"), std::string::npos)
        << mel.dump() << refusal(mel);
  }
  EXPECT_EQ(refusal(to_json(MelContract{})), "");
}

TEST(MelContract, StagesOfOneMelFitTogether) {
  const test::TemporaryFolder folder;
  const json mel = to_json(MelContract{});
  const Model model = model_of(folder.path(), mel, mel);
  EXPECT_NO_THROW(require_same_mel(model.stage("mel_decoder"), model.stage("vocoder")));
}

TEST(MelContract, AnyDifferenceIsNamedWithBothStages) {
  const std::vector<std::pair<std::string, json>> differences = {
      {"sample_rate", 22050}, {"hop_length", 200},   {"win_length", 800}, {"n_fft", 2048},
      {"n_mels", 100},        {"f_min", 0},          {"f_max", 8000},     {"mel_scale", "htk"},
      {"mel_norm", "none"},   {"spectrum", "power"}, {"log", "ln"},       {"log_floor", 1e-5},
  };
  for (const auto& [field, value] : differences) {
    const test::TemporaryFolder folder;
    json mel = to_json(MelContract{});
    mel[field] = value;
    const Model model = model_of(folder.path(), to_json(MelContract{}), mel);
    const std::string message = test::error_of(
        [&] { require_same_mel(model.stage("mel_decoder"), model.stage("vocoder")); });
    for (const std::string& part :
         {field, std::string("mel_decoder"), std::string("vocoder"), value.dump()}) {
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
}

TEST(MelContract, ConvertNamesTheVocoderThatItCannotUse) {
  const test::TemporaryFolder folder;
  const json mel = to_json(MelContract{});
  model_of(folder.path() / "voice", mel, mel);
  json other = mel;
  other["f_max"] = 8000;
  model_of(folder.path() / "other", mel, other);
  model_of(folder.path() / "broken", mel, "mel");
  for (const auto& [name, problem] : {std::pair{"other", "does not fit"}, {"broken", "'mel'"}}) {
    const auto vocoder = folder.path() / name;
    const std::string message = test::error_of(
        [&] { convert(folder.path() / "voice", folder.path() / "out", {.vocoder = vocoder}); });
    EXPECT_NE(message.find(problem), std::string::npos) << message;
    EXPECT_EQ(message.rfind(vocoder.string(), 0), 0u) << message;
  }
}

}  // namespace
}  // namespace parley::stage
