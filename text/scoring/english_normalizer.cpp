#include "parley/text/scoring/english_normalizer.h"

#include <array>

#include "parley/text/concat.h"
#include "parley/text/scoring/basic_normalizer.h"
#include "parley/text/unicode.h"
#include "parley/text/utf8.h"

namespace parley::text {

namespace {

struct Expansion {
  std::string_view pattern, replacement;
};

constexpr auto kExpansions = std::to_array<Expansion>({
    {R"([<\[][^>\]]*[>\]])", ""},
    {R"(\(([^)]+?)\))", ""},
    {R"(\b(hmm|mm|mhm|mmm|uh|um)\b)", ""},
    {"[" PARLEY_PYTHON_SPACE "]+'", "'"},
    // contractions
    {R"(\bwon't\b)", "will not"},
    {R"(\bcan't\b)", "can not"},
    {R"(\blet's\b)", "let us"},
    {R"(\bain't\b)", "aint"},
    {R"(\by'all\b)", "you all"},
    {R"(\bwanna\b)", "want to"},
    {R"(\bgotta\b)", "got to"},
    {R"(\bgonna\b)", "going to"},
    {R"(\bi'ma\b)", "i am going to"},
    {R"(\bimma\b)", "i am going to"},
    {R"(\bwoulda\b)", "would have"},
    {R"(\bcoulda\b)", "could have"},
    {R"(\bshoulda\b)", "should have"},
    {R"(\bma'am\b)", "madam"},
    // titles
    {R"(\bmr\b)", "mister "},
    {R"(\bmrs\b)", "missus "},
    {R"(\bst\b)", "saint "},
    {R"(\bdr\b)", "doctor "},
    {R"(\bprof\b)", "professor "},
    {R"(\bcapt\b)", "captain "},
    {R"(\bgov\b)", "governor "},
    {R"(\bald\b)", "alderman "},
    {R"(\bgen\b)", "general "},
    {R"(\bsen\b)", "senator "},
    {R"(\brep\b)", "representative "},
    {R"(\bpres\b)", "president "},
    {R"(\brev\b)", "reverend "},
    {R"(\bhon\b)", "honorable "},
    {R"(\basst\b)", "assistant "},
    {R"(\bassoc\b)", "associate "},
    {R"(\blt\b)", "lieutenant "},
    {R"(\bcol\b)", "colonel "},
    {R"(\bjr\b)", "junior "},
    {R"(\bsr\b)", "senior "},
    {R"(\besq\b)", "esquire "},
    // perfect tenses
    {R"('d been\b)", " had been"},
    {R"('s been\b)", " has been"},
    {R"('d gone\b)", " had gone"},
    {R"('s gone\b)", " has gone"},
    {R"('d done\b)", " had done"},
    {R"('s got\b)", " has got"},
    // other contractions
    {R"(n't\b)", " not"},
    {R"('re\b)", " are"},
    {R"('s\b)", " is"},
    {R"('d\b)", " would"},
    {R"('ll\b)", " will"},
    {R"('t\b)", " not"},
    {R"('ve\b)", " have"},
    {R"('m\b)", " am"},
});

// "british american" lines; see make_english_spellings.py.
constexpr std::string_view kSpellings =
#include "parley/text/scoring/english_spellings.inc"
    ;

const std::unordered_map<std::string_view, std::string_view>& spellings() {
  static const std::unordered_map<std::string_view, std::string_view> kMap = [] {
    std::unordered_map<std::string_view, std::string_view> map;
    std::string_view rest = kSpellings;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      const size_t space = line.find(' ');
      if (space != std::string_view::npos)
        map.emplace(line.substr(0, space), line.substr(space + 1));
    }
    return map;
  }();
  return kMap;
}

}  // namespace

std::string american_spelling(std::string_view text) {
  std::string result;
  for (const std::string& word : split_words(text)) {
    const auto found = spellings().find(word);
    result.append(result.empty() ? "" : " ")
        .append(found == spellings().end() ? word : found->second);
  }
  return result;
}

EnglishTextNormalizer::EnglishTextNormalizer()
    : digit_comma_(R"((\d),(\d))", Pattern::Unit::kCodePoint),
      period_(R"(\.([^0-9]|$))", Pattern::Unit::kCodePoint),
      sign_(R"([.$¢€£]([^0-9]))", Pattern::Unit::kCodePoint),
      percent_(R"(([^0-9])%)", Pattern::Unit::kCodePoint),
      white_space_("[" PARLEY_PYTHON_SPACE "]+", Pattern::Unit::kCodePoint) {
  for (const Expansion& expansion : kExpansions) {
    expansions_.emplace_back(Pattern(expansion.pattern, Pattern::Unit::kCodePoint),
                             expansion.replacement);
  }
}

std::string EnglishTextNormalizer::expand(const std::string& text) const {
  std::string s = text;
  for (const auto& [pattern, replacement] : expansions_) s = pattern.replace(s, replacement);
  return s;
}

std::string EnglishTextNormalizer::operator()(std::string_view text) const {
  std::string s = expand(to_lower(replace_invalid_utf8(text)));
  s = digit_comma_.replace(s, [](const Match& m) { return concat({m[1], m[2]}); });
  s = period_.replace(s, [](const Match& m) { return concat({" ", m[1]}); });
  s = remove_symbols_and_diacritics(s, U".%$¢€£");
  s = american_spelling(numbers_(s));
  s = sign_.replace(s, [](const Match& m) { return concat({" ", m[1]}); });
  s = percent_.replace(s, [](const Match& m) { return concat({m[1], " "}); });
  return white_space_.replace(s, " ");
}

}  // namespace parley::text
