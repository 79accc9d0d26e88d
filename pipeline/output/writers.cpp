#include "parley/pipeline/output/writers.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "parley/pipeline/output/writer_text.h"

namespace parley::pipeline {

namespace {

constexpr std::array<Format, 8> kFormats = {{{"txt", write_txt},
                                             {"srt", write_srt},
                                             {"vtt", write_vtt},
                                             {"json", write_json},
                                             {"jsonl", write_jsonl},
                                             {"tsv", write_tsv},
                                             {"csv", write_csv},
                                             {"lrc", write_lrc}}};

template <typename... Values>
std::string printed(const char* format, Values... values) {
  std::array<char, 160> line;
  const int length = std::snprintf(line.data(), line.size(), format, values...);
  return {line.data(), std::min(static_cast<size_t>(length), line.size() - 1)};
}

// `seconds` in units of 1 / per_second; never negative, and a time even if `seconds` is none.
int64_t ticks(double seconds, int per_second) {
  constexpr double kLongest = 1e9;  // 31 years
  return std::isfinite(seconds) ? std::llround(std::clamp(seconds, 0.0, kLongest) * per_second) : 0;
}

std::string timestamp(double seconds, bool always_hours, char decimal_mark) {
  const int64_t ms = ticks(seconds, 1000);
  const int64_t hours = ms / 3600000;
  const std::string prefix = always_hours || hours > 0 ? printed("%02" PRId64 ":", hours) : "";
  return prefix + printed("%02" PRId64 ":%02" PRId64 "%c%03" PRId64, ms / 60000 % 60,
                          ms / 1000 % 60, decimal_mark, ms % 1000);
}

// A piece of a subtitle file.
struct Piece {
  double start;
  double end;
  std::string text;
};

std::string underlined(const std::string& word) {
  const size_t begin = std::min(word.find_first_not_of(" \n"), word.size());
  return word.substr(0, begin) + "<u>" + word.substr(begin) + "</u>";
}

// The cue with each of its words underlined while it is said.
void add_highlighted(const Cue& cue, std::vector<Piece>& pieces) {
  const auto text = [&](size_t highlighted) {
    std::string out;
    for (size_t i = 0; i < cue.words.size(); ++i)
      out += i == highlighted ? underlined(cue.words[i].text) : cue.words[i].text;
    return out;
  };
  const auto add = [&](double start, double end, size_t highlighted) {
    if (ticks(end, 1000) > ticks(start, 1000)) pieces.push_back({start, end, text(highlighted)});
  };
  double last = cue.start;
  for (size_t i = 0; i < cue.words.size(); ++i) {
    add(last, cue.words[i].start, cue.words.size());
    add(cue.words[i].start, cue.words[i].end, i);
    last = cue.words[i].end;
  }
  add(last, cue.end, cue.words.size());
}

// escape(text): what the format does to text that is not markup.
template <typename Escape>
std::vector<Piece> pieces_of(const Transcript& transcript, const SubtitleRules& rules,
                             const Escape& escape) {
  std::vector<Piece> pieces;
  for (Cue& cue : make_cues(transcript, rules)) {
    for (CueWord& word : cue.words) escape(word.text);
    if (rules.highlight_words) {
      add_highlighted(cue, pieces);
      continue;
    }
    pieces.push_back({cue.start, cue.end, ""});
    for (const CueWord& word : cue.words) pieces.back().text += word.text;
  }
  return pieces;
}

template <typename Write>  // write(segment, its text on one line)
void for_each_line(const Transcript& transcript, const Write& write) {
  for (const Segment& segment : transcript.segments) {
    const std::string line = one_line(segment.text);
    if (!line.empty()) write(segment, line);
  }
}

}  // namespace

std::span<const Format> formats() { return kFormats; }

const Format* find_format(std::string_view name) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const Format& format) { return format.name == name; });
  return found == kFormats.end() ? nullptr : &*found;
}

std::string write_txt(const Transcript& transcript, const WriterOptions&) {
  std::string out;
  for_each_line(transcript, [&](const Segment&, const std::string& line) { out += line + '\n'; });
  return out;
}

std::string write_srt(const Transcript& transcript, const WriterOptions& options) {
  std::string out;
  int64_t number = 0;
  for (const auto& [start, end, text] :
       pieces_of(transcript, options.subtitles, [](const std::string&) {})) {
    out += std::to_string(++number) + '\n' + timestamp(start, true, ',') + " --> " +
           timestamp(end, true, ',') + '\n' + text + "\n\n";
  }
  return out;
}

std::string write_vtt(const Transcript& transcript, const WriterOptions& options) {
  const auto escape = [](std::string& text) {
    replace_all(text, "&", "&amp;");
    replace_all(text, "<", "&lt;");
  };
  std::string out = "WEBVTT\n\n";
  for (const auto& [start, end, text] : pieces_of(transcript, options.subtitles, escape)) {
    out +=
        timestamp(start, false, '.') + " --> " + timestamp(end, false, '.') + '\n' + text + "\n\n";
  }
  return out;
}

std::string write_tsv(const Transcript& transcript, const WriterOptions&) {
  std::string out = "start\tend\ttext\n";
  for_each_line(transcript, [&](const Segment& segment, const std::string& line) {
    out += std::to_string(ticks(segment.start, 1000)) + '\t' +
           std::to_string(ticks(segment.end, 1000)) + '\t' + line + '\n';
  });
  return out;
}

std::string write_csv(const Transcript& transcript, const WriterOptions&) {
  std::string out = "start,end,text\n";
  for_each_line(transcript, [&](const Segment& segment, std::string line) {
    replace_all(line, "\"", "\"\"");
    out += std::to_string(ticks(segment.start, 1000)) + ',' +
           std::to_string(ticks(segment.end, 1000)) + ",\"" + line + "\"\n";
  });
  return out;
}

std::string write_lrc(const Transcript& transcript, const WriterOptions&) {
  std::string out;
  for_each_line(transcript, [&](const Segment& segment, const std::string& line) {
    const int64_t hundredths = ticks(segment.start, 100);
    out += printed("[%02" PRId64 ":%02" PRId64 ".%02" PRId64 "]", hundredths / 6000,
                   hundredths / 100 % 60, hundredths % 100) +
           line + '\n';
  });
  return out;
}

}  // namespace parley::pipeline
