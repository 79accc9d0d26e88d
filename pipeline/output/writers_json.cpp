#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "parley/pipeline/output/writers.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

using Json = nlohmann::ordered_json;  // fields in the order of the documentation

double rounded(double value, double unit) {
  const double scaled = std::round(value * unit);
  return std::isfinite(scaled) ? scaled / unit + 0.0 : 0.0;  // + 0.0: no "-0.0"
}

double time_of(double seconds) { return rounded(seconds, 1e3); }
double number_of(double value) { return rounded(value, 1e6); }
std::string text_of(const std::string& text) { return text::replace_invalid_utf8(text); }

Json json_of(const Word& word) {
  return {{"word", text_of(word.word)},
          {"start", time_of(word.start)},
          {"end", time_of(word.end)},
          {"probability", number_of(word.probability)},
          {"source", word.source == WordSource::kMeasured ? "measured" : "interpolated"}};
}

Json json_of(const Segment& segment) {
  Json words = Json::array();
  for (const Word& word : segment.words) words.push_back(json_of(word));
  return {{"id", segment.id},
          {"start", time_of(segment.start)},
          {"end", time_of(segment.end)},
          {"text", text_of(segment.text)},
          {"tokens", segment.tokens},
          {"avg_logprob", number_of(segment.avg_logprob)},
          {"compression_ratio", number_of(segment.compression_ratio)},
          {"no_speech_prob", number_of(segment.no_speech_prob)},
          {"temperature", number_of(segment.temperature)},
          {"words", std::move(words)}};
}

Json json_of(const Rejected& rejected) {
  return {{"start", time_of(rejected.start)},
          {"end", time_of(rejected.end)},
          {"text", text_of(rejected.text)},
          {"reason", text_of(rejected.reason)}};
}

template <typename Value>
Json list_of(const std::vector<Value>& values) {
  Json list = Json::array();
  for (const Value& value : values) list.push_back(json_of(value));
  return list;
}

Json json_of(const Transcript& transcript, const WriterOptions& options) {
  return {{"file", text_of(options.file)},
          {"duration", time_of(transcript.duration)},
          {"language", text_of(transcript.language)},
          {"language_probability", number_of(transcript.language_probability)},
          {"model", text_of(options.model)},
          {"segments", list_of(transcript.segments)},
          {"text", text_of(transcript.text)},
          {"rejected", list_of(transcript.rejected)}};
}

// A list of objects with each on a line of its own; everything else as it is.
std::string laid_out(const Json& value) {
  if (!value.is_array() || value.empty()) return value.dump();
  std::string lines;
  for (const Json& item : value) lines += (lines.empty() ? "[\n    " : ",\n    ") + item.dump();
  return lines + "\n  ]";
}

}  // namespace

std::string write_json(const Transcript& transcript, const WriterOptions& options) {
  std::string out;
  const Json document = json_of(transcript, options);
  for (const auto& [key, value] : document.items()) {
    out += (out.empty() ? "{\n  \"" : ",\n  \"") + key + "\": " + laid_out(value);
  }
  return out + "\n}\n";
}

std::string write_jsonl(const Transcript& transcript, const WriterOptions& options) {
  return json_of(transcript, options).dump() + '\n';
}

}  // namespace parley::pipeline
