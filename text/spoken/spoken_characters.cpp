#include "parley/text/spoken/spoken_characters.h"

#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>

#include "parley/core/base/error.h"
#include "parley/text/concat.h"
#include "parley/text/spoken/html_entities.h"
#include "parley/text/spoken/spoken_rules.h"
#include "parley/text/unicode.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

void check(UErrorCode error) {
  if (U_SUCCESS(error) != 0) return;
  throw Error("spoken form", std::string("ICU cannot load its data: ") + u_errorName(error));
}

}  // namespace

class CharacterFolder::Romanizer {
 public:
  // NFKC and NFKD; ICU's own, they live forever.
  const icu::Normalizer2& compatibility() const { return *composed_; }

  // ASCII and what ICU could not make ASCII.
  icu::UnicodeString to_ascii(const icu::UnicodeString& text) const {
    // Most need no more than their accents taken off.
    UErrorCode error = U_ZERO_ERROR;
    icu::UnicodeString letters;
    const icu::UnicodeString taken_apart = decomposed_->normalize(text, error);
    bool ascii = U_SUCCESS(error) != 0;
    for (int32_t i = 0; ascii && i < taken_apart.length(); ++i) {
      const char16_t unit = taken_apart[i];
      if (u_charType(unit) == U_NON_SPACING_MARK) continue;
      letters.append(unit);
      ascii = unit < 0x80;
    }
    if (ascii) return letters;
    std::call_once(loaded_, [this] {
      UErrorCode failed = U_ZERO_ERROR;
      transliterator_.reset(
          icu::Transliterator::createInstance("Any-Latin; Latin-ASCII", UTRANS_FORWARD, failed));
      check(failed);
    });
    letters = text;
    transliterator_->transliterate(letters);
    return letters;
  }

 private:
  static const icu::Normalizer2* form(const icu::Normalizer2* (*get)(UErrorCode&)) {
    UErrorCode error = U_ZERO_ERROR;
    const icu::Normalizer2* found = get(error);
    check(error);
    return found;
  }

  const icu::Normalizer2* composed_ = form(icu::Normalizer2::getNFKCInstance);
  const icu::Normalizer2* decomposed_ = form(icu::Normalizer2::getNFKDInstance);
  // Takes 12 ms to load: not before a text needs it.
  mutable std::once_flag loaded_;
  mutable std::unique_ptr<icu::Transliterator> transliterator_;
};

namespace {

struct Replacement {
  char32_t code_point;
  std::string_view text;
};

// Written otherwise.
constexpr Replacement kSameAs[] = {
    {0x60, "'"},    {0xAB, "\""},    {0xAD, ""},     {0xB4, "'"},    {0xBB, "\""},   {0xB7, " "},
    {0xA1, ""},     {0xBF, ""},      {0x2BC, "'"},   {0x2BB, "'"},   {0x2018, "'"},  {0x2019, "'"},
    {0x201A, "'"},  {0x201B, "'"},   {0x201C, "\""}, {0x201D, "\""}, {0x201E, "\""}, {0x201F, "\""},
    {0x2039, "\""}, {0x203A, "\""},  {0x2010, "-"},  {0x2011, "-"},  {0x2012, "–"},  {0x2015, "—"},
    {0x2022, " "},  {0x2026, "..."}, {0x2032, "′"},  {0x2033, "″"},  {0x2044, "/"},  {0x2215, "/"},
    {0x200B, " "},  {0x2217, "*"},   {0x2236, ":"},  {0x3001, ", "}, {0x3002, ". "}, {0x300C, "\""},
    {0x300D, "\""}, {0x30FB, " "},   {0xAE, ""},     {0x2122, ""},   {0x2120, ""},   {0x2020, ""},
    {0x2021, ""},   {0x2E3A, "—"},   {0x2E3B, "—"},  {0x301C, "–"}};

// Said by name wherever it stands.
constexpr Replacement kNames[] = {{0xA7, "section"},
                                  {0xA9, "copyright"},
                                  {0xAC, "not"},
                                  {0xB1, "plus or minus"},
                                  {0xB6, "paragraph"},
                                  {0xF7, "divided by"},
                                  {0x2030, "per mille"},
                                  {0x2116, "number"},
                                  {0x2126, "ohms"},
                                  {0x2190, "from"},
                                  {0x2192, "to"},
                                  {0x2194, "to and from"},
                                  {0x21D2, "implies"},
                                  {0x2200, "for all"},
                                  {0x2202, "partial"},
                                  {0x2203, "there exists"},
                                  {0x2205, "the empty set"},
                                  {0x2206, "delta"},
                                  {0x2208, "in"},
                                  {0x2209, "not in"},
                                  {0x220F, "product"},
                                  {0x2211, "sum"},
                                  {0x2213, "minus or plus"},
                                  {0x221A, "square root of"},
                                  {0x221E, "infinity"},
                                  {0x2220, "angle"},
                                  {0x2227, "and"},
                                  {0x2228, "or"},
                                  {0x2229, "intersection"},
                                  {0x222A, "union"},
                                  {0x222B, "integral"},
                                  {0x2234, "therefore"},
                                  {0x223C, "approximately"},
                                  {0x2248, "approximately"},
                                  {0x2260, "not equal to"},
                                  {0x2261, "equivalent to"},
                                  {0x2264, "less than or equal to"},
                                  {0x2265, "greater than or equal to"},
                                  {0x2282, "subset of"},
                                  {0x2640, "female"},
                                  {0x2642, "male"},
                                  {0x266D, "flat"},
                                  {0x266F, "sharp"},
                                  // Emoji whose Unicode names nobody says.
                                  {0x2600, "sun"},
                                  {0x2601, "cloud"},
                                  {0x260E, "telephone"},
                                  {0x2611, "check mark"},
                                  {0x2639, "frowning face"},
                                  {0x263A, "smiling face"},
                                  {0x2665, "heart"},
                                  {0x26A0, "warning"},
                                  {0x2705, "check mark"},
                                  {0x2708, "airplane"},
                                  {0x2709, "envelope"},
                                  {0x2713, "check mark"},
                                  {0x2714, "check mark"},
                                  {0x2717, "cross mark"},
                                  {0x2764, "red heart"},
                                  {0x2795, "plus"},
                                  {0x2796, "minus"},
                                  {0x2797, "divided by"},
                                  {0x27A1, "right arrow"},
                                  {0x2B50, "star"},
                                  {0x1F44D, "thumbs up"},
                                  {0x1F44E, "thumbs down"},
                                  {0x1F44F, "clapping hands"},
                                  {0x1F4AF, "one hundred points"},
                                  {0x1F4AA, "flexed biceps"},
                                  {0x1F604, "grinning face with smiling eyes"},
                                  {0x1F60A, "smiling face with smiling eyes"},
                                  {0x1F60D, "smiling face with heart eyes"},
                                  {0x1F62D, "loudly crying face"},
                                  {0x1F64F, "folded hands"},
                                  {0x1F914, "thinking face"},
                                  {0x1F923, "rolling on the floor laughing"}};

// Rules know what these mean.
constexpr std::u32string_view kKept =
    U"€£¥₹₩₽₿₺₪₫₴₦¢°–—−×²³′″";

template <size_t N>
std::optional<std::string_view> find(const Replacement (&table)[N], char32_t c) {
  const auto* found = std::ranges::find(table, c, &Replacement::code_point);
  return found == std::end(table) ? std::nullopt : std::optional(found->text);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_mark(char32_t c) {
  return (U_MASK(u_charType(static_cast<UChar32>(c))) & U_GC_M_MASK) != 0;
}
bool is_foreign_letter(char32_t c) {
  return c >= 0x80 &&
         (U_MASK(u_charType(static_cast<UChar32>(c))) & (U_GC_L_MASK | U_GC_M_MASK)) != 0;
}
bool is_emoji(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
}

// What a raised digit or minus sign raises: "⁻³" is "^−3".
std::string_view raised(char32_t c) {
  static constexpr Replacement kRaised[] = {
      {0x2070, "0"}, {0xB9, "1"},   {0xB2, "2"},   {0xB3, "3"},   {0x2074, "4"}, {0x2075, "5"},
      {0x2076, "6"}, {0x2077, "7"}, {0x2078, "8"}, {0x2079, "9"}, {0x207B, "−"}};
  return find(kRaised, c).value_or("");
}

std::string unicode_name(char32_t c) {
  std::array<char, 128> name{};
  UErrorCode error = U_ZERO_ERROR;
  u_charName(static_cast<UChar32>(c), U_UNICODE_CHAR_NAME, name.data(),
             static_cast<int32_t>(name.size()), &error);
  if (U_FAILURE(error) != 0) return "";
  std::string lower(name.data());
  for (char& letter : lower)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
  return lower;
}

// "GREEK SMALL LETTER PI" -> "pi": a Greek letter alone is said by its name.
std::string greek_name(char32_t c) {
  if (!((c >= 0x391 && c <= 0x3A9) || (c >= 0x3B1 && c <= 0x3C9))) return "";
  const std::string name = unicode_name(c);
  return name.substr(name.rfind(' ') + 1);
}

struct Written {
  char32_t c;
  SourceRange source;
};

class Folding {
 public:
  explicit Folding(const CharacterFolder::Romanizer& romanizer) : romanizer_(romanizer) {}

  FoldedText run(std::string_view utf8) {
    std::vector<Written> written;
    written.reserve(utf8.size());
    for (size_t at = 0; at < utf8.size();) {
      const CodePoint point = first_code_point(utf8.substr(at));
      written.push_back({point.value, {at, at + point.length}});
      at += point.length;
    }
    japanese_ = std::ranges::any_of(written, [](const Written& w) {
      return is_of_script(w.c, "Hira") || is_of_script(w.c, "Kana");
    });
    for (size_t i = 0; i < written.size();) {
      const bool line = i == 0 || written[i - 1].c == '\n';
      const size_t begin = i + (line ? markdown_marks(utf8.substr(written[i].source.begin)) : 0);
      if (begin > i) append(" ", {written[i].source.begin, written[begin - 1].source.end});
      i = begin < written.size() ? take(written, begin) : begin;
    }
    return std::move(out_);
  }

 private:
  // "&amp;" as what it stands for; returns where it ends, or i.
  size_t take_entity(const std::vector<Written>& written, size_t i) {
    std::string ascii;
    for (size_t k = i; k < written.size() && ascii.size() < 10 && written[k].c < 0x80; ++k)
      ascii += static_cast<char>(written[k].c);
    const auto entity = html_entity(ascii);
    if (!entity) return i;
    const SourceRange source = {written[i].source.begin,
                                written[i + entity->length - 1].source.end};
    take({{entity->value, source}}, 0);
    return i + entity->length;
  }

  bool is_said(char32_t c) const {
    return is_romanizable(c) && !(japanese_ && is_of_script(c, "Hani"));
  }

  // Appends what written[i...] becomes; returns where to go on.
  size_t take(const std::vector<Written>& written, size_t i) {
    const auto [c, source] = written[i];
    if (c == '&') {
      if (const size_t end = take_entity(written, i); end > i) return end;
    }
    if (c < 0x80 && c != '`') {
      append(c < 0x20 || c == 0x7F ? " " : std::string(1, static_cast<char>(c)), source);
      return i + 1;
    }
    if (groups_thousands(written, i)) return i + 1;
    if (is_micro(written, i)) return append("µ", source), i + 1;
    if (const std::string_view digit = raised(c); !digit.empty()) {
      const bool first = i == 0 || raised(written[i - 1].c).empty();
      const bool last = i + 1 == written.size() || raised(written[i + 1].c).empty();
      const bool kept = first && last && (c == 0xB2 || c == 0xB3);  // "m²"
      append(kept ? (c == 0xB2 ? "²" : "³") : concat({first ? "^" : "", digit}), source);
      return i + 1;
    }
    if (is_foreign_letter(c) && !is_said(c)) return leave_out(c, source), i + 1;
    if (is_foreign_letter(c) && !normalized(c)) return take_letters(written, i);
    take_one(c, source, true);
    return i + 1;
  }

  // A space that cannot break a line, between digits and just three digits.
  bool groups_thousands(const std::vector<Written>& written, size_t i) const {
    static constexpr std::u32string_view kSpaces = U"\u00A0\u202F\u2009\u2007";
    if (kSpaces.find(written[i].c) == std::u32string_view::npos) return false;
    if (out_.text.empty() || !is_digit(out_.text.back())) return false;
    const auto digit = [&](size_t at) {
      return at < written.size() && written[at].c >= '0' && written[at].c <= '9';
    };
    return digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4);
  }

  bool is_micro(const std::vector<Written>& written, size_t i) const {
    if (written[i].c != 0xB5 && written[i].c != 0x3BC) return false;
    if (i + 1 == written.size() || (!out_.text.empty() && is_letter(out_.text.back())))
      return false;
    static constexpr std::u32string_view kUnits = U"mgslLFVAW";
    return kUnits.find(written[i + 1].c) != std::u32string_view::npos;
  }

  // The compatibility form of a code point, when it is another.
  std::optional<std::u32string> normalized(char32_t c) const {
    UErrorCode error = U_ZERO_ERROR;
    const icu::UnicodeString one(static_cast<UChar32>(c));
    const icu::UnicodeString result = romanizer_.compatibility().normalize(one, error);
    if (U_FAILURE(error) != 0 || result == one) return std::nullopt;
    std::u32string code_points;
    for (int32_t i = 0; i < result.length(); i = result.moveIndex32(i, 1)) {
      code_points += static_cast<char32_t>(result.char32At(i));
    }
    return code_points;
  }

  size_t take_letters(const std::vector<Written>& written, size_t i) {
    constexpr size_t kMaxRun = 256;
    const size_t begin = i;
    icu::UnicodeString run;
    while (i < written.size() && i - begin < kMaxRun && is_foreign_letter(written[i].c) &&
           is_said(written[i].c)) {
      run.append(static_cast<UChar32>(written[i++].c));
    }
    const SourceRange source = {written[begin].source.begin, written[i - 1].source.end};
    const bool alone = i - begin == 1 && (begin == 0 || !is_letter_at(written, begin - 1)) &&
                       !is_letter_at(written, i);
    if (const std::string name = alone ? greek_name(written[begin].c) : ""; !name.empty()) {
      append(concat({" ", name, " "}), source);
      return i;
    }
    const std::string ascii = romanized(run);
    if (!ascii.empty()) {
      for (size_t k = begin; k < i; ++k) {
        if (is_romanizable(written[k].c) && !is_of_script(written[k].c, "Latn") &&
            !is_mark(written[k].c))
          ++out_.romanized[written[k].c];
      }
    }
    append(ascii, source);
    if (ascii.empty()) {
      for (size_t k = begin; k < i; ++k) {
        if (!is_mark(written[k].c)) leave_out(written[k].c, written[k].source);
      }
    }
    return i;
  }

  static bool is_letter_at(const std::vector<Written>& written, size_t i) {
    return i < written.size() && u_isalpha(static_cast<UChar32>(written[i].c)) != 0;
  }

  std::string romanized(const icu::UnicodeString& letters) const {
    const icu::UnicodeString run = romanizer_.to_ascii(letters);
    std::string ascii;
    for (int32_t i = 0; i < run.length(); ++i) {
      const char16_t unit = run[i];
      if (unit >= 0x80) continue;
      const char c = static_cast<char>(unit);
      if (is_letter(c) || is_digit(c) || c == '\'') ascii += c;
      if (c == ' ' && !ascii.empty() && ascii.back() != ' ') ascii += ' ';
    }
    return ascii;
  }

  void take_one(char32_t c, SourceRange source, bool normalize) {
    const auto icu_char = static_cast<UChar32>(c);
    if (c < 0x80 && c != '`') return append(std::string(1, static_cast<char>(c)), source);
    if (const auto same = find(kSameAs, c)) return append(std::string(*same), source);
    if (const auto name = find(kNames, c)) return append(concat({" ", *name, " "}), source);
    if (kKept.find(c) != std::u32string_view::npos) {
      std::string bytes;
      append_utf8(bytes, c);
      return append(bytes, source);
    }
    if (const int32_t digit = u_charDigitValue(icu_char); digit >= 0 && u_isdigit(icu_char) != 0) {
      return append(std::string(1, static_cast<char>('0' + digit)), source);
    }
    if (normalize) {
      if (const auto other = normalized(c)) {
        // "2½" is "2 1/2".
        const bool fraction = other->find(U'\u2044') != std::u32string::npos;
        if (fraction && !out_.text.empty() && is_digit(out_.text.back())) append(" ", source);
        for (const char32_t part : *other) take_one(part, source, false);
        return;
      }
    }
    take_symbol(c, source);
  }

  void take_symbol(char32_t c, SourceRange source) {
    const auto icu_char = static_cast<UChar32>(c);
    const uint32_t category = U_MASK(u_charType(icu_char));
    if (c >= 0x1F1E6 && c <= 0x1F1FF) {  // a flag is two letters
      return append({' ', static_cast<char>('A' + (c - 0x1F1E6))}, source);
    }
    if (u_hasBinaryProperty(icu_char, UCHAR_EMOJI_MODIFIER) != 0) return;
    if (is_emoji(c)) {
      if (const std::string name = unicode_name(c); !name.empty()) {
        return append(concat({" ", name, " "}), source);
      }
    }
    if (is_foreign_letter(c)) {
      const std::string ascii = romanized(icu::UnicodeString(icu_char));
      if (!ascii.empty() || is_mark(c)) return append(ascii, source);
    }
    if (u_isUWhiteSpace(icu_char) != 0 || (category & U_GC_P_MASK) != 0) return append(" ", source);
    if ((category & (U_GC_CF_MASK | U_GC_M_MASK)) != 0) return;  // joiners, directions, variations
    if ((category & U_GC_CC_MASK) != 0) return append(" ", source);
    leave_out(c, source);
  }

  void leave_out(char32_t c, SourceRange source) {
    ++out_.unspeakable[c];
    append(" ", source);
  }

  void append(const std::string& text, SourceRange source) {
    out_.text += text;
    out_.source.insert(out_.source.end(), text.size(), source);
  }

  const CharacterFolder::Romanizer& romanizer_;
  FoldedText out_;
  bool japanese_ = false;
};

}  // namespace

CharacterFolder::CharacterFolder() : romanizer_(std::make_unique<Romanizer>()) {}
CharacterFolder::~CharacterFolder() = default;
CharacterFolder::CharacterFolder(CharacterFolder&&) noexcept = default;
CharacterFolder& CharacterFolder::operator=(CharacterFolder&&) noexcept = default;

FoldedText CharacterFolder::fold(std::string_view utf8) const {
  return Folding(*romanizer_).run(utf8);
}

}  // namespace parley::text
