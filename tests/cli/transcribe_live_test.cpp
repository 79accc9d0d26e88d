// transcribe --live, as a user sees it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "parley/cli/transcribe/live_view.h"
#include "parley/tests/cli/process.h"
#include "parley/tests/dsp/signals.h"

namespace parley::test {
namespace {

using Json = nlohmann::json;

std::vector<Json> events_of(const std::string& lines) {
  std::vector<Json> events;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) events.push_back(Json::parse(line));
  return events;
}

std::string text_of(const std::vector<Json>& events, const std::string& kind) {
  std::string text;
  for (const Json& event : events) {
    if (event.at("event") == kind) text += event.at("text").get<std::string>();
  }
  return text;
}

const std::vector<std::string> kNonsenseCounts = {"-l", "en", "--no-speech-threshold", "1"};

std::vector<std::string> live(std::vector<std::string> more) {
  more.insert(more.begin(), kNonsenseCounts.begin(), kNonsenseCounts.end());
  more.insert(more.begin(), "--live");
  return more;
}

TEST(TranscribeLive, FinalEventsHaveTheTextOfTheFile) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  std::vector<std::string> whole = kNonsenseCounts;
  whole.insert(whole.end(), {"--endpoint-silence", "0.5", "-f", "json", clip});
  const Json file = Json::parse(bench.run(whole).out);
  const Outcome outcome = bench.run(live({"-f", "jsonl", clip}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const std::vector<Json> events = events_of(outcome.out);
  EXPECT_EQ(text_of(events, "final"), file.at("text"));
  EXPECT_FALSE(file.at("text").get<std::string>().empty());
  for (const Json& event : events) {
    for (const char* key : {"start", "end", "stable", "lag_ms", "dropped_ms"})
      EXPECT_TRUE(event.at(key).is_number()) << key;
  }
  EXPECT_EQ(events.front().at("event"), "speech_start");
}

TEST(TranscribeLive, StandardInputIsHeardAsTheFile) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const std::string bytes = read_bytes(clip);
  const std::string expected =
      text_of(events_of(bench.run(live({"-f", "jsonl", clip})).out), "final");
  EXPECT_EQ(text_of(events_of(bench.run(live({"-f", "jsonl", "-"}), bytes).out), "final"),
            expected);
  EXPECT_EQ(
      text_of(
          events_of(bench.run(live({"-f", "jsonl", "--raw", "s16le", "-"}), bytes.substr(44)).out),
          "final"),
      expected);
}

TEST(TranscribeLive, WithoutATerminalFinalTextComesAsLines) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const auto events = events_of(bench.run(live({"-f", "jsonl", clip})).out);
  std::string lines;
  for (const Json& event : events) {
    if (event.at("event") != "final") continue;
    const std::string text = event.at("text");
    const size_t begin = text.find_first_not_of(' ');
    if (begin != std::string::npos)
      lines += text.substr(begin, text.find_last_not_of(' ') - begin + 1) + "\n";
  }
  EXPECT_EQ(bench.run(live({clip})).out, lines);
}

TEST(TranscribeLive, AnInterruptEndsTheUtteranceAndPrintsItsText) {
  const Bench bench;
  const std::string bytes = read_bytes(bench.clip("a.wav"));
  PipeEnds in;  // stays open
  PipeEnds out;
  Process program(transcribe_command(bench.with(live({"-f", "jsonl", "--raw", "s16le", "-"}))),
                  {.in = in.read_end, .out = out.write_end});
  out.close_write();
  ASSERT_EQ(::write(in.write_end, bytes.data() + 44, 60000), 60000);
  std::string line = read_line(out.read_end);
  ASSERT_EQ(Json::parse(line).at("event"), "speech_start");
  program.signal(SIGINT);
  std::string lines;
  while (!(line = read_line(out.read_end)).empty()) lines += line + "\n";
  EXPECT_EQ(program.wait(), 130);
  const std::vector<Json> events = events_of(lines);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().at("event"), "final");
  EXPECT_FALSE(text_of(events, "final").empty());
}

TEST(TranscribeLive, TellsTimesOfTheFileBehindAnOffset) {
  const Bench bench;
  const std::string clip = bench.clip("a.wav");
  const auto events =
      events_of(bench.run(live({"-f", "jsonl", "--vad", "off", "--offset", "2", clip})).out);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().at("start"), 2);
}

TEST(TranscribeLive, SaysWhenTheInputIsNotThere) {
  const Bench bench;
  const Outcome outcome = bench.run(live({bench.path("nothing.wav")}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("nothing.wav"), std::string::npos);
}

TEST(LiveView, APartialLineShowsItsEndAndWhatIsSettled) {
  pipeline::LiveEvent event{.kind = pipeline::LiveEventKind::kPartial};
  event.text = " Grüße an alle";
  event.stable = std::string(" Grüße").size();
  event.lag_ms = 340;
  EXPECT_EQ(cli::partial_line(event, 80), "Grüße\033[2m an alle  0.3 s\033[0m");
  EXPECT_EQ(cli::partial_line(event, 14), "…\033[2mn alle  0.3 s\033[0m");
  event.text = " a\033[31mb\n";
  event.stable = event.text.size();
  EXPECT_EQ(cli::partial_line(event, 80), "a [31mb \033[2m  0.3 s\033[0m");
}

TEST(LiveView, EventsCountStableCodePoints) {
  pipeline::LiveEvent event{.kind = pipeline::LiveEventKind::kPartial};
  event.text = " Grüße an alle";
  event.stable = std::string(" Grüße").size();
  EXPECT_EQ(Json::parse(cli::event_json(event, true)).at("stable"), 6);
  EXPECT_FALSE(Json::parse(cli::event_json(event, true)).contains("words"));
}

}  // namespace
}  // namespace parley::test
