#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "parley/tests/cli/process.h"

namespace parley::test {
namespace {

TEST(ParleyProfile, ShowsTheSlowestOperatorsAndWritesAll) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  std::vector<std::string> command = {PARLEY_PROGRAM,
                                      "profile",
                                      bench.path("model"),
                                      "--input",
                                      clip,
                                      "--beam",
                                      "1",
                                      "--threads",
                                      "2",
                                      "--top",
                                      "3"};
  const Outcome table = run_to_end(command);
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.out.find("GFLOP/s"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("more (--top)"), std::string::npos) << table.out;
  command.insert(command.end(), {"--json", "-"});
  const Outcome outcome = run_to_end(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["threads"], 2);
  EXPECT_NEAR(json["audio_seconds"].get<double>(), 4.5, 0.1);
  EXPECT_GT(json["operators"].size(), 20u);
  double before = 1e9;
  for (const auto& row : json["operators"]) {
    EXPECT_LE(row["seconds"].get<double>(), before);
    before = row["seconds"];
    EXPECT_FALSE(row["kernel"].get<std::string>().empty());
  }
}

TEST(ParleyProfile, SaysWhatIsWrong) {
  const Bench bench;
  const auto code = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {PARLEY_PROGRAM, "profile"};
    command.insert(command.end(), more.begin(), more.end());
    return run_to_end(command).code;
  };
  EXPECT_EQ(code({bench.path("model")}), 2);
  EXPECT_EQ(code({bench.path("absent"), "--input", "x"}), 3);
  EXPECT_EQ(code({bench.path("model"), "--input", bench.path("absent.wav")}), 1);
  const std::string vad = source_path("data/models/silero-vad").string();
  EXPECT_EQ(code({vad, "--input", "x"}), 2);
}

}  // namespace
}  // namespace parley::test
