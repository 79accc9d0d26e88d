#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "parley/tests/cli/process.h"

namespace parley::test {
namespace {

using Arguments = std::vector<std::string>;

Outcome validate(const Bench& bench, const Arguments& more) {
  Arguments command = {PARLEY_PROGRAM, "validate", bench.path("model"),
                       "--threads",    "2",        "--quiet"};
  command.insert(command.end(), more.begin(), more.end());
  return run_to_end(command);
}

std::string golden() { return source_path("tests/golden/stages/whisper.safetensors").string(); }

TEST(ParleyValidate, BoundsDecideTheExitCode) {
  const Bench bench;
  const Arguments exact = {"--against", golden(), "--layers", "--precision", "f32"};
  Arguments kept = exact;
  kept.insert(kept.end(), {"--max-error", "0.05"});  // the model was stored as f16
  const Outcome good = validate(bench, kept);
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_NE(good.out.find("encoder.layers.1"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find("kept"), std::string::npos);
  Arguments broken = exact;
  broken.insert(broken.end(), {"--max-error", "1e-9"});
  const Outcome bad = validate(bench, broken);
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.out.find("broken"), std::string::npos) << bad.out;
}

TEST(ParleyValidate, JsonHoldsErrorsScoresAndBounds) {
  const Bench bench;
  bench.clip("a.wav");
  std::ofstream(bench.path("m.tsv")) << "relative_path\ttranscript\na.wav\tgood morning\n";
  const Outcome outcome =
      validate(bench, {"--reference", bench.path("model"), "--manifest", bench.path("m.tsv"),
                       "--beam", "1", "--max-wer-delta", "1000", "--json", "-"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["model"], "multilingual-80");
  EXPECT_EQ(json["tensors"].back()["name"], "decoder.logits");
  EXPECT_LT(json["tensors"].back()["relative_error"], 0.2);
  EXPECT_EQ(json["task"]["model"]["words"], 2);
  EXPECT_GT(json["task"]["model"]["real_time_factor"], 0);
  EXPECT_TRUE(json["task"]["reference"].contains("wer"));
  EXPECT_EQ(json["bounds"][0]["option"], "max-wer-delta");
  EXPECT_TRUE(json["good"]);
}

TEST(ParleyValidate, SaysWhatIsWrong) {
  const Bench bench;
  EXPECT_EQ(validate(bench, {"--max-wer-delta", "1"}).code, 2);
  EXPECT_EQ(validate(bench, {"--against", golden(), "--reference", bench.path("model")}).code, 2);
  EXPECT_EQ(validate(bench, {"--max-error", "nan"}).code, 2);
  EXPECT_EQ(validate(bench, {"--limit", "3"}).code, 2);
  EXPECT_EQ(validate(bench, {"--reference", bench.path("absent")}).code, 3);
  EXPECT_EQ(validate(bench, {"--against", bench.path("absent.safetensors")}).code, 1);
  std::ofstream(bench.path("m.tsv")) << "relative_path\ttranscript\nabsent.wav\tgood morning\n";
  const Outcome missing = validate(bench, {"--manifest", bench.path("m.tsv")});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("absent.wav"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace parley::test
