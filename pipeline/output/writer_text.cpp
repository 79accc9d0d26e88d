#include "parley/pipeline/output/writer_text.h"

#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

bool breaks_line(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const text::CodePoint point = text::first_code_point(text);
    text.remove_prefix(point.length);
    text::append_utf8(out, breaks_line(point.value) ? U' ' : point.value);
  }
  return out;
}

std::string one_line(std::string_view text) { return std::string(text::strip(printable(text))); }

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace parley::pipeline
