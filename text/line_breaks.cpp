#include "parley/text/line_breaks.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>

#include "parley/core/base/error.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

void check(UErrorCode error) {
  if (U_FAILURE(error) != 0)
    throw Error("text", std::string("ICU cannot break lines: ") + u_errorName(error));
}

bool is_hangul(UChar32 c) {
  return u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE) != U_HST_NOT_APPLICABLE;
}

// Text that the iterator looks at, closed at the end.
struct OpenText {
  explicit OpenText(std::string_view utf8) {
    UErrorCode error = U_ZERO_ERROR;
    text = utext_openUTF8(nullptr, utf8.data(), static_cast<int64_t>(utf8.size()), &error);
    check(error);
  }
  ~OpenText() { utext_close(text); }
  OpenText(const OpenText&) = delete;
  OpenText& operator=(const OpenText&) = delete;

  // The characters on both sides of a place are Hangul.
  bool inside_hangul(int64_t at) const {
    utext_setNativeIndex(text, at);
    const UChar32 after = utext_current32(text);
    return is_hangul(after) && is_hangul(utext_previous32(text));
  }

  UText* text = nullptr;
};

}  // namespace

struct LineBreaker::Iterator {
  std::unique_ptr<icu::BreakIterator> lines;
};

LineBreaker::LineBreaker() : iterator_(std::make_unique<Iterator>()) {
  UErrorCode error = U_ZERO_ERROR;
  // Strict: no line begins with a small kana or a prolonged sound mark.
  iterator_->lines.reset(icu::BreakIterator::createLineInstance(icu::Locale("@lb=strict"), error));
  check(error);
}

LineBreaker::~LineBreaker() = default;

std::vector<size_t> LineBreaker::breaks(std::string_view utf8) {
  const OpenText text(utf8);
  icu::BreakIterator& lines = *iterator_->lines;
  UErrorCode error = U_ZERO_ERROR;
  lines.setText(text.text, error);
  check(error);
  std::vector<size_t> places;
  for (int32_t at = lines.first(); at != icu::BreakIterator::DONE; at = lines.next()) {
    if (at > 0 && !text.inside_hangul(at)) places.push_back(static_cast<size_t>(at));
  }
  return places;
}

size_t line_length(std::string_view utf8) {
  size_t length = 0;
  while (!utf8.empty()) {
    const CodePoint point = first_code_point(utf8);
    const uint32_t mask = U_MASK(u_charType(static_cast<UChar32>(point.value)));
    if ((mask & (U_GC_MN_MASK | U_GC_ME_MASK | U_GC_CF_MASK)) == 0) ++length;
    utf8.remove_prefix(point.length);
  }
  return length;
}

}  // namespace parley::text
