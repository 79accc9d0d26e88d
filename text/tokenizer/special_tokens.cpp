#include "parley/text/tokenizer/special_tokens.h"

#include <algorithm>
#include <cstdio>

#include "parley/core/base/error.h"
#include "parley/text/languages.h"

namespace parley::text {

namespace {

constexpr std::string_view kEot = "<|endoftext|>";
constexpr std::string_view kSot = "<|startoftranscript|>";
constexpr std::string_view kTranslate = "<|translate|>";
constexpr std::string_view kTranscribe = "<|transcribe|>";
constexpr std::string_view kSotLm = "<|startoflm|>";
constexpr std::string_view kSotPrev = "<|startofprev|>";
constexpr std::string_view kNoSpeech = "<|nospeech|>";
constexpr std::string_view kNoCaptions = "<|nocaptions|>";
constexpr std::string_view kNoTimestamps = "<|notimestamps|>";
constexpr std::string_view kNames[] = {kEot,     kSot,      kTranslate,  kTranscribe,  kSotLm,
                                       kSotPrev, kNoSpeech, kNoCaptions, kNoTimestamps};
constexpr int32_t kEnglishOnlySize = 51864;

std::string language_token(std::string_view code) { return "<|" + std::string(code) + "|>"; }

}  // namespace

int32_t SpecialTokens::language(std::string_view code) const {
  const auto found = std::ranges::find(languages, code, &LanguageToken::code);
  return found == languages.end() ? kNoToken : found->id;
}

bool is_whisper_special(std::string_view name) {
  if (!name.starts_with("<|") || !name.ends_with("|>") || name.size() < 5) return false;
  if (std::ranges::find(kNames, name) != std::end(kNames)) return true;
  return language_name(name.substr(2, name.size() - 4)).has_value() || is_timestamp_name(name);
}

bool is_timestamp_name(std::string_view name) {
  const size_t dot = name.find('.');
  if (!name.starts_with("<|") || dot == std::string_view::npos || dot < 3 || dot > 4) return false;
  int seconds = 0;
  for (const char digit : name.substr(2, dot - 2)) {
    if (digit < '0' || digit > '9') return false;
    seconds = 10 * seconds + (digit - '0');
  }
  if (name.size() < dot + 3) return false;
  const int index = seconds * 50 + (name[dot + 1] - '0') * 5 + (name[dot + 2] - '0') / 2;
  return index >= 0 && index < kTimestampTokens && name == timestamp_name(index);
}

std::string timestamp_name(int index) {
  char name[32];
  std::snprintf(name, sizeof(name), "<|%d.%02d|>", index / 50, index % 50 * 2);
  return name;
}

std::vector<std::string> whisper_special_layout(int language_count) {
  std::vector<std::string> names{std::string(kEot), std::string(kSot)};
  for (const Language& language : languages().first(language_count)) {
    names.push_back(language_token(language.code));
  }
  for (const std::string_view name :
       {kTranslate, kTranscribe, kSotLm, kSotPrev, kNoSpeech, kNoTimestamps}) {
    names.emplace_back(name);
  }
  for (int i = 0; i < kTimestampTokens; ++i) names.push_back(timestamp_name(i));
  return names;
}

SpecialTokens find_special_tokens(const TokenIds& ids, const std::string& where) {
  const auto optional_id = [&](std::string_view name) {
    const auto found = ids.find(name);
    return found == ids.end() ? kNoToken : found->second;
  };
  const auto required_id = [&](std::string_view name) {
    const int32_t id = optional_id(name);
    if (id != kNoToken) return id;
    throw Error(where, "has no token " + std::string(name), "is it a Whisper tokenizer?");
  };
  SpecialTokens special{.eot = required_id(kEot),
                        .sot = required_id(kSot),
                        .translate = optional_id(kTranslate),
                        .transcribe = optional_id(kTranscribe),
                        .sot_lm = optional_id(kSotLm),
                        .sot_prev = optional_id(kSotPrev),
                        .no_speech = optional_id(ids.contains(kNoSpeech) ? kNoSpeech : kNoCaptions),
                        .no_timestamps = required_id(kNoTimestamps)};
  for (const Language& language : languages()) {
    const int32_t id = optional_id(language_token(language.code));
    if (id != kNoToken) special.languages.push_back({std::string(language.code), id});
  }

  const bool listed = ids.contains(timestamp_name(0));
  special.timestamp_begin = listed ? optional_id(timestamp_name(0)) : special.no_timestamps + 1;
  for (int i = 0; i < kTimestampTokens; ++i) {
    const std::string name = timestamp_name(i);
    if (optional_id(name) == (listed ? special.timestamp_begin + i : kNoToken)) continue;
    throw Error(where,
                "the timestamp tokens are not " + std::to_string(kTimestampTokens) + " in a row",
                name + " is missing or out of place");
  }
  special.multilingual = special.languages.size() > 1 &&
                         special.timestamp_begin + kTimestampTokens != kEnglishOnlySize;
  return special;
}

}  // namespace parley::text
