#include "pipeline/writers.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "text/utf8.h"

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

// What would end a line somewhere, or cannot be seen.
bool breaks_line(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

// Characters that are trimmed as Python's str.strip() does.
bool is_space(char32_t c) {
  return c == ' ' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// One line, valid UTF-8, trimmed.
std::string line_of(std::string_view text) {
  std::string line;
  std::string held;  // spaces that belong to the line if more follows
  while (!text.empty()) {
    const text::CodePoint point = text::first_code_point(text);
    text.remove_prefix(point.length);
    const char32_t c = breaks_line(point.value) ? U' ' : point.value;
    if (is_space(c)) {
      if (!line.empty()) text::append_utf8(held, c);
      continue;
    }
    line += held;
    held.clear();
    text::append_utf8(line, c);
  }
  return line;
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

size_t code_points(std::string_view valid) {
  return static_cast<size_t>(
      std::count_if(valid.begin(), valid.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Puts newlines for spaces so that lines have at most `width` code points; a longer word has a line
// of its own.
std::string wrapped(const std::string& line, int width) {
  if (width <= 0) return line;
  std::string lines;
  size_t used = 0;
  for (size_t at = 0; at < line.size();) {
    const size_t space = std::min(line.find(' ', at), line.size());
    const std::string_view word = std::string_view(line).substr(at, space - at);
    at = space + 1;
    if (word.empty()) continue;
    const size_t length = code_points(word);
    const bool fits = used + 1 + length <= static_cast<size_t>(width);
    if (!lines.empty()) lines += fits ? ' ' : '\n';
    used = lines.empty() || !fits ? length : used + 1 + length;
    lines += word;
  }
  return lines;
}

// A cue's text; "-->" would be taken for its times.
std::string cue_text(const std::string& line, int max_line_width) {
  std::string text = line;
  for (size_t at = text.find("-->"); at != std::string::npos; at = text.find("-->")) {
    text.erase(at, 1);
  }
  return wrapped(text, max_line_width);
}

template <typename Write>  // write(segment, its text on one line)
void for_each_line(const Transcript& transcript, const Write& write) {
  for (const Segment& segment : transcript.segments) {
    const std::string line = line_of(segment.text);
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
  for_each_line(transcript, [&](const Segment& segment, const std::string& line) {
    out += std::to_string(++number) + '\n' + timestamp(segment.start, true, ',') + " --> " +
           timestamp(segment.end, true, ',') + '\n' + cue_text(line, options.max_line_width) +
           "\n\n";
  });
  return out;
}

std::string write_vtt(const Transcript& transcript, const WriterOptions& options) {
  std::string out = "WEBVTT\n\n";
  for_each_line(transcript, [&](const Segment& segment, const std::string& line) {
    std::string text = cue_text(line, options.max_line_width);
    replace_all(text, "&", "&amp;");
    replace_all(text, "<", "&lt;");
    out += timestamp(segment.start, false, '.') + " --> " + timestamp(segment.end, false, '.') +
           '\n' + text + "\n\n";
  });
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
