#include "parley/text/unicode.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>

#include "parley/core/base/error.h"

namespace parley::text {

namespace {

icu::StringPiece piece_of(std::string_view utf8) {
  return {utf8.data(), static_cast<int32_t>(utf8.size())};
}

void check_size(std::string_view utf8) {
  constexpr size_t kMax = size_t{1} << 28;  // ICU counts in int32_t
  if (utf8.size() > kMax) throw Error("text", "it is longer than 256 MiB", "cut it into parts");
}

std::string normalized(const icu::Normalizer2* form, std::string_view utf8, UErrorCode error) {
  check_size(utf8);
  std::string result;
  if (U_SUCCESS(error) != 0) {
    const icu::UnicodeString text =
        form->normalize(icu::UnicodeString::fromUTF8(piece_of(utf8)), error);
    text.toUTF8String(result);
  }
  if (U_FAILURE(error) != 0) {
    throw Error("text", std::string("ICU cannot normalize: ") + u_errorName(error));
  }
  return result;
}

}  // namespace

std::string to_lower(std::string_view utf8) {
  check_size(utf8);
  std::string result;
  icu::UnicodeString::fromUTF8(piece_of(utf8)).toLower(icu::Locale::getRoot()).toUTF8String(result);
  return result;
}

std::string nfkc(std::string_view utf8) {
  UErrorCode error = U_ZERO_ERROR;
  return normalized(icu::Normalizer2::getNFKCInstance(error), utf8, error);
}

std::string nfkd(std::string_view utf8) {
  UErrorCode error = U_ZERO_ERROR;
  return normalized(icu::Normalizer2::getNFKDInstance(error), utf8, error);
}

char category(char32_t code_point) {
  const uint32_t mask = U_MASK(u_charType(static_cast<UChar32>(code_point)));
  if ((mask & U_GC_L_MASK) != 0) return 'L';
  if ((mask & U_GC_M_MASK) != 0) return 'M';
  if ((mask & U_GC_N_MASK) != 0) return 'N';
  if ((mask & U_GC_P_MASK) != 0) return 'P';
  if ((mask & U_GC_S_MASK) != 0) return 'S';
  if ((mask & U_GC_Z_MASK) != 0) return 'Z';
  return 'C';
}

bool is_nonspacing_mark(char32_t code_point) {
  return u_charType(static_cast<UChar32>(code_point)) == U_NON_SPACING_MARK;
}

bool is_of_script(char32_t c, const char* script) {
  if (c < 0x80) return false;
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode code = uscript_getScript(static_cast<UChar32>(c), &error);
  return U_SUCCESS(error) != 0 && std::string_view(uscript_getShortName(code)) == script;
}

bool is_romanizable(char32_t c) {
  static constexpr std::array kScripts = {"Latn", "Zyyy", "Zinh", "Cyrl", "Grek", "Armn", "Geor",
                                          "Hang", "Hira", "Kana", "Bopo", "Hani", "Deva", "Beng",
                                          "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym"};
  return std::ranges::any_of(kScripts, [&](const char* s) { return is_of_script(c, s); });
}

}  // namespace parley::text
