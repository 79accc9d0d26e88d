#include "parley/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "parley/core/base/error.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

constexpr uint32_t kMatchLimit = 1'000'000;

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

// What a pattern is once compiled.
struct Compiled {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    pcre2_code_free(code);
    pcre2_match_context_free(context);
  }
};

}  // namespace

Pattern::Pattern(std::string_view expression, Unit unit) : unit_(unit) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const uint32_t options = unit == Unit::kCodePoint ? PCRE2_UTF | PCRE2_UCP : 0;
  const auto compiled = std::make_shared<Compiled>();
  compiled->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                 options, &error, &offset, nullptr);
  if (compiled->code == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof(message));
    throw Error("pattern", std::string(expression) + ": " + reinterpret_cast<const char*>(message));
  }
  if (compiled->context == nullptr) throw Error("pattern", "out of memory");
  pcre2_set_match_limit(compiled->context, kMatchLimit);
  code_ = compiled;
  uint32_t count = 0;
  pcre2_pattern_info(compiled->code, PCRE2_INFO_CAPTURECOUNT, &count);
  groups_ = count + size_t{1};
  // Interpreted where there is no JIT.
  pcre2_jit_compile(compiled->code, PCRE2_JIT_COMPLETE);
}

std::optional<Match> Pattern::find(std::string_view text, size_t at, unsigned options) const {
  const auto* compiled = static_cast<const Compiled*>(code_.get());
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create(static_cast<uint32_t>(groups_), nullptr));
  if (data == nullptr) throw Error("pattern", "out of memory");
  const int result =
      pcre2_match(compiled->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                  PCRE2_NO_UTF_CHECK | options, data.get(), compiled->context);
  if (result < 0) return std::nullopt;
  const PCRE2_SIZE* ranges = pcre2_get_ovector_pointer(data.get());
  Match match;
  match.text_ = text;
  match.groups_.resize(groups_, {Match::kUnset, Match::kUnset});
  for (size_t i = 0; i < static_cast<size_t>(result); ++i) {
    if (ranges[2 * i] != PCRE2_UNSET) match.groups_[i] = {ranges[2 * i], ranges[2 * i + 1]};
  }
  return match;
}

std::optional<Match> Pattern::match_at(std::string_view text, size_t at) const {
  return find(text, at, PCRE2_ANCHORED);
}

std::optional<Match> Pattern::search(std::string_view text, size_t at) const {
  return find(text, at, 0);
}

std::string Pattern::replace(std::string_view text,
                             const std::function<std::string(const Match&)>& replacement) const {
  std::string result;
  size_t done = 0;
  for (size_t at = 0; at <= text.size();) {
    const std::optional<Match> match = search(text, at);
    if (!match) break;
    result += text.substr(done, match->begin() - done);
    result += replacement(*match);
    done = at = match->end();
    if (match->begin() < match->end()) continue;
    // An empty match: the next begins after the code point that follows.
    if (at == text.size()) break;
    at += unit_ == Unit::kByte ? 1 : first_code_point(text.substr(at)).length;
  }
  result += text.substr(std::min(done, text.size()));
  return result;
}

std::string Pattern::replace(std::string_view text, std::string_view replacement) const {
  return replace(text, [&](const Match&) { return std::string(replacement); });
}

}  // namespace parley::text
