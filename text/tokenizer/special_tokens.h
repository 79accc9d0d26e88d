// The tokens of Whisper that are not text (Radford et al. 2022, §2.3; openai/whisper tokenizer.py).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace parley::text {

// <|0.00|>, <|0.02|>, ..., <|30.00|>
inline constexpr int kTimestampTokens = 1501;
inline constexpr int32_t kNoToken = -1;

using TokenIds = std::map<std::string, int32_t, std::less<>>;  // by name

struct LanguageToken {
  std::string code;
  int32_t id;
};

// Ids. Every Whisper vocabulary has eot, sot and the timestamps; the others are kNoToken where it
// has not.
struct SpecialTokens {
  int32_t eot = kNoToken;              // <|endoftext|>
  int32_t sot = kNoToken;              // <|startoftranscript|>
  int32_t translate = kNoToken;        // <|translate|>
  int32_t transcribe = kNoToken;       // <|transcribe|>
  int32_t sot_lm = kNoToken;           // <|startoflm|>
  int32_t sot_prev = kNoToken;         // <|startofprev|>
  int32_t no_speech = kNoToken;        // <|nospeech|>, in older files <|nocaptions|>
  int32_t no_timestamps = kNoToken;    // <|notimestamps|>
  int32_t timestamp_begin = kNoToken;  // <|0.00|>; kTimestampTokens of them follow each other
  // More than one language, and not of the size of OpenAI's English-only vocabulary (51864), which
  // has the language tokens too. A checkpoint that says is_multilingual itself knows better.
  bool multilingual = false;
  std::vector<LanguageToken> languages = {};  // in the order of text::languages()

  bool is_timestamp(int32_t id) const {
    return id >= timestamp_begin && id < timestamp_begin + kTimestampTokens;
  }
  // The token of a language code, or kNoToken.
  int32_t language(std::string_view code) const;
};

// True for the names above, the languages and the timestamps.
bool is_whisper_special(std::string_view name);

bool is_timestamp_name(std::string_view name);

// "<|1.24|>" for 62; index in [0, kTimestampTokens).
std::string timestamp_name(int index);

// All names in the order of OpenAI's vocabularies, with the first `languages` languages.
std::vector<std::string> whisper_special_layout(int languages);

// The ids by name. Throws Error naming `where` when eot, sot or notimestamps is missing, or the
// timestamps are neither complete and in order nor all missing; then they follow notimestamps, as
// in checkpoints whose files do not list them.
SpecialTokens find_special_tokens(const TokenIds& ids, const std::string& where);

}  // namespace parley::text
