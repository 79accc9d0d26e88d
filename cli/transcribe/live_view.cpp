#include "parley/cli/transcribe/live_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "parley/cli/write_all.h"
#include "parley/text/utf8.h"

namespace parley::cli {

namespace {

using Json = nlohmann::ordered_json;
using pipeline::LiveEvent;
using pipeline::LiveEventKind;

constexpr const char* kDim = "\033[2m";
constexpr const char* kPlain = "\033[0m";
constexpr const char* kEraseLine = "\r\033[K";

double rounded(double value) { return std::round(value * 1000) / 1000; }

void print(const std::string& text) { write_all(STDOUT_FILENO, text, "standard output"); }

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(text::first_code_point(text).length);
  return count;
}

size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

class EventLines : public LiveView {
 public:
  explicit EventLines(bool with_words) : with_words_(with_words) {}
  void show(const LiveEvent& event) override { print(event_json(event, with_words_) + "\n"); }

 private:
  bool with_words_;
};

class FinalLines : public LiveView {
 public:
  void show(const LiveEvent& event) override {
    const std::string text(text::strip(event.text));
    if (event.kind == LiveEventKind::kFinal && !text.empty()) print(text + "\n");
  }
};

class TerminalView : public LiveView {
 public:
  void show(const LiveEvent& event) override {
    if (event.kind == LiveEventKind::kPartial) {
      print(kEraseLine + partial_line(event, terminal_columns() - 1));
      drawn_ = true;
    } else if (event.kind == LiveEventKind::kFinal) {
      clear();
      FinalLines().show(event);
    }
  }
  void clear() override {
    if (drawn_) print(kEraseLine);
    drawn_ = false;
  }

 private:
  bool drawn_ = false;
};

}  // namespace

std::string event_json(const LiveEvent& event, bool with_words) {
  Json json{{"event", pipeline::name_of(event.kind)},
            {"start", rounded(event.start)},
            {"end", rounded(event.end)},
            {"text", event.text},
            {"stable", count_code_points(std::string_view(event.text).substr(0, event.stable))},
            {"lag_ms", rounded(event.lag_ms)},
            {"dropped_ms", rounded(event.dropped_ms)}};
  if (with_words && event.kind == LiveEventKind::kFinal) {
    json["words"] = Json::array();
    for (const pipeline::Segment& segment : event.segments) {
      for (const pipeline::Word& word : segment.words) {
        json["words"].push_back({{"word", word.word},
                                 {"start", rounded(word.start)},
                                 {"end", rounded(word.end)},
                                 {"probability", rounded(word.probability)}});
      }
    }
  }
  return json.dump();
}

std::string partial_line(const LiveEvent& event, size_t columns) {
  std::array<char, 32> lag;
  std::snprintf(lag.data(), lag.size(), "  %.1f s", event.lag_ms / 1000);
  const std::string suffix = lag.data();
  // What can be shown of each code point, and whether it is settled.
  std::vector<std::pair<std::string, bool>> shown;
  const std::string_view text = event.text;
  for (size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::first_code_point(text.substr(at));
    std::string bytes;
    text::append_utf8(bytes, point.value < 0x20 || point.value == 0x7F ? U' ' : point.value);
    if (!shown.empty() || bytes != " ") shown.emplace_back(bytes, at < event.stable);
    at += point.length;
  }
  const size_t room = columns > suffix.size() ? columns - suffix.size() : 0;
  const size_t begin = shown.size() > room ? shown.size() - room + 1 : 0;
  std::string line = begin > 0 ? "…" : "";
  bool dim = false;
  for (size_t i = begin; i < shown.size(); ++i) {
    if (!shown[i].second && !dim) line += kDim;
    dim = dim || !shown[i].second;
    line += shown[i].first;
  }
  if (!dim) line += kDim;
  return line + suffix + kPlain;
}

std::unique_ptr<LiveView> event_lines(bool with_words) {
  return std::make_unique<EventLines>(with_words);
}
std::unique_ptr<LiveView> final_lines() { return std::make_unique<FinalLines>(); }
std::unique_ptr<LiveView> terminal_view() { return std::make_unique<TerminalView>(); }

}  // namespace parley::cli
