// Abbreviations by context, acronyms, Roman numerals, initials, and words with digits in them.
#include <algorithm>
#include <array>

#include "parley/text/concat.h"
#include "parley/text/spoken/spoken_capitals.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

namespace {

struct Expansion {
  std::string_view abbreviation, words;
};

// Always with a period, said the same wherever they stand.
constexpr Expansion kAbbreviations[] = {{"Mr", "Mister"},
                                        {"Mrs", "Missus"},
                                        {"Ms", "Miz"},
                                        {"Messrs", "Messieurs"},
                                        {"Prof", "Professor"},
                                        {"Rev", "Reverend"},
                                        {"Hon", "Honorable"},
                                        {"Gov", "Governor"},
                                        {"Sen", "Senator"},
                                        {"Rep", "Representative"},
                                        {"Gen", "General"},
                                        {"Col", "Colonel"},
                                        {"Capt", "Captain"},
                                        {"Cpt", "Captain"},
                                        {"Lt", "Lieutenant"},
                                        {"Sgt", "Sergeant"},
                                        {"Cpl", "Corporal"},
                                        {"Maj", "Major"},
                                        {"Cmdr", "Commander"},
                                        {"Adm", "Admiral"},
                                        {"Pres", "President"},
                                        {"Supt", "Superintendent"},
                                        {"Jr", "Junior"},
                                        {"Sr", "Senior"},
                                        {"Esq", "Esquire"},
                                        {"Inc", "Incorporated"},
                                        {"Ltd", "Limited"},
                                        {"Corp", "Corporation"},
                                        {"Co", "Company"},
                                        {"Bros", "Brothers"},
                                        {"Ave", "Avenue"},
                                        {"Blvd", "Boulevard"},
                                        {"Rd", "Road"},
                                        {"Ln", "Lane"},
                                        {"Hwy", "Highway"},
                                        {"Pkwy", "Parkway"},
                                        {"Apt", "Apartment"},
                                        {"Bldg", "Building"},
                                        {"Mt", "Mount"},
                                        {"Dept", "Department"},
                                        {"dept", "department"},
                                        {"Univ", "University"},
                                        {"Assn", "Association"},
                                        {"Assoc", "Associates"},
                                        {"Govt", "Government"},
                                        {"govt", "government"},
                                        {"etc", "et cetera"},
                                        {"vs", "versus"},
                                        {"approx", "approximately"},
                                        {"Approx", "Approximately"},
                                        {"viz", "namely"},
                                        {"cf", "compare"},
                                        {"ca", "circa"},
                                        {"ed", "edition"},
                                        {"eds", "editors"},
                                        {"misc", "miscellaneous"},
                                        {"tel", "telephone"},
                                        {"Tel", "Telephone"},
                                        {"max", "maximum"},
                                        {"avg", "average"},
                                        {"est", "established"},
                                        {"Est", "Established"},
                                        {"incl", "including"},
                                        {"Ph.D", "P H D"},
                                        {"ft", "feet"},
                                        {"lbs", "pounds"},
                                        {"hrs", "hours"},
                                        {"mins", "minutes"}};

// These are words too: only before a number.
constexpr Expansion kBeforeNumber[] = {
    {"vol", "volume"},    {"Vol", "Volume"},    {"vols", "volumes"}, {"Fig", "Figure"},
    {"Figs", "Figures"},  {"figs", "figures"},  {"eq", "equation"},  {"Eq", "Equation"},
    {"ext", "extension"}, {"Ext", "Extension"}, {"Chap", "Chapter"}, {"chap", "chapter"},
    {"No", "number"},     {"no", "number"},     {"Nos", "numbers"},  {"nos", "numbers"},
    {"p", "page"},        {"pp", "pages"},      {"fig", "figure"},   {"Sec", "Section"},
    {"sec", "section"},   {"Ch", "Chapter"},    {"ch", "chapter"},   {"Art", "Article"},
    {"art", "article"},   {"Ste", "Suite"},     {"c", "circa"},      {"Rm", "Room"},
    {"pt", "part"},       {"Pt", "Part"},       {"l", "line"},       {"ll", "lines"}};

constexpr Expansion kPhrases[] = {{"e.g.", "for example"},   {"i.e.", "that is"},
                                  {"E.g.", "For example"},   {"I.e.", "That is"},
                                  {"et al.", "et al"},       {"a.k.a.", "also known as"},
                                  {"w/o", "without"},        {"w/", "with"},
                                  {"c/o", "care of"},        {"n/a", "not applicable"},
                                  {"N/A", "not applicable"}, {"and/or", "and or"},
                                  {"vs", "versus"},          {"aka", "also known as"},
                                  {"o'clock", "o'clock"},    {"R&D", "R and D"},
                                  {"Q&A", "Q and A"},        {"AT&T", "A T and T"},
                                  {"P.S.", "P S"},           {"Ph.D.", "P H D"},
                                  {"PhD", "P H D"},          {"PhDs", "P H D's"}};

constexpr Expansion kStates[] = {
    {"AL", "Alabama"},        {"AK", "Alaska"},         {"AZ", "Arizona"},
    {"AR", "Arkansas"},       {"CA", "California"},     {"CO", "Colorado"},
    {"CT", "Connecticut"},    {"DE", "Delaware"},       {"DC", "D C"},
    {"FL", "Florida"},        {"GA", "Georgia"},        {"HI", "Hawaii"},
    {"ID", "Idaho"},          {"IL", "Illinois"},       {"IN", "Indiana"},
    {"IA", "Iowa"},           {"KS", "Kansas"},         {"KY", "Kentucky"},
    {"LA", "Louisiana"},      {"ME", "Maine"},          {"MD", "Maryland"},
    {"MA", "Massachusetts"},  {"MI", "Michigan"},       {"MN", "Minnesota"},
    {"MS", "Mississippi"},    {"MO", "Missouri"},       {"MT", "Montana"},
    {"NE", "Nebraska"},       {"NV", "Nevada"},         {"NH", "New Hampshire"},
    {"NJ", "New Jersey"},     {"NM", "New Mexico"},     {"NY", "New York"},
    {"NC", "North Carolina"}, {"ND", "North Dakota"},   {"OH", "Ohio"},
    {"OK", "Oklahoma"},       {"OR", "Oregon"},         {"PA", "Pennsylvania"},
    {"RI", "Rhode Island"},   {"SC", "South Carolina"}, {"SD", "South Dakota"},
    {"TN", "Tennessee"},      {"TX", "Texas"},          {"UT", "Utah"},
    {"VT", "Vermont"},        {"VA", "Virginia"},       {"WA", "Washington"},
    {"WV", "West Virginia"},  {"WI", "Wisconsin"},      {"WY", "Wyoming"}};

// Kings and popes: the numeral after them is an ordinal.
constexpr std::string_view kRegnal =
    "Louis Henry Edward George Charles James William Richard John Paul Pius Benedict Elizabeth "
    "Mary Catherine Philip Napoleon Frederick Friedrich Wilhelm Nicholas Alexander Ivan Peter "
    "Gregory Innocent Clement Leo Urban Boniface Francis Leopold Ferdinand Alfonso Christian "
    "Gustav Harald Haakon Olaf Margaret Margrethe Ramses Ramesses Thutmose Amenhotep Ptolemy "
    "Darius Xerxes Otto Rudolf Maximilian Robert David Stephen Kenneth Constantine Theodosius "
    "Justinian Mehmed Selim Suleiman Baldwin Victor Umberto Carol Michael Boris Juan Carlos Pedro "
    "Sixtus Julius Celestine Eugene Martin Adrian Callixtus Edgar Augustus Joseph Albert Felipe "
    "Manuel Antiochus Cleopatra Seti Isabella Emanuel Emmanuel Thomas";
constexpr std::string_view kTitles =
    "King Queen Pope Emperor Empress Tsar Czar Kaiser Prince Sultan Pharaoh";
constexpr std::string_view kNumbered =
    "Chapter Part Act Scene Section Volume Vol Book War Phase Type Class Level Grade Stage "
    "Article Appendix Title Episode Bowl Unit Figure Table Canto Mark Apollo Gemini Saturn "
    "chapter part act scene section volume book phase type class level grade stage article "
    "appendix title episode unit figure table canto factor Factor Psalm Rocky Schedule Category "
    "Tier Group Division Region Corps Vatican Fantasy Quest";

template <size_t N>
std::string_view find(const Expansion (&table)[N], std::string_view abbreviation) {
  const auto* found = std::ranges::find(table, abbreviation, &Expansion::abbreviation);
  return found == std::end(table) ? std::string_view() : found->words;
}

std::string spelled(std::string_view letters) {
  std::string words;
  for (const char c : letters) {
    if (!words.empty()) words += ' ';
    words += is_ascii_lower(c) ? static_cast<char>(c - 32) : c;
  }
  return words;
}

bool is_upper(std::string_view word) { return std::ranges::all_of(word, is_ascii_upper); }

bool has_vowel(std::string_view word) {
  return word.find_first_of("AEIOUYaeiouy") != std::string_view::npos;
}

// --- abbreviations ---

size_t say_phrase(Speech& speech, const Match& match) {
  const std::string_view words = find(kPhrases, match[0]);
  if (words.empty()) return Rule::kNotThis;
  speech.say(words);
  if (match[0].ends_with('.')) speech.mark_if_last(match.end());
  return match.end();
}

size_t say_abbreviation(Speech& speech, const Match& match) {
  const std::string_view words = find(kAbbreviations, match[1]);
  if (words.empty()) return Rule::kNotThis;
  speech.say(words);
  speech.mark_if_last(match.end());
  return match.end();
}

size_t say_before_number(Speech& speech, const Match& match) {
  const std::string_view words = find(kBeforeNumber, match[1]);
  const bool number = is_ascii_digit(speech.after(match.end()));
  if (words.empty() || (!number && match[1] != "No")) return Rule::kNotThis;
  // "c. 1850", but "c. 59" is a chapter of a statute.
  const bool year = is_ascii_digit(speech.after(match.end() + 2));
  if (words == "circa" && !year) return Rule::kNotThis;
  speech.say(words);
  return match.end();
}

// "Tel: 020 7946 0958".
size_t say_telephone_sign(Speech& speech, const Match& match) {
  speech.say(match[0] == "Tel" ? "Telephone" : "telephone");
  return match.end() + (speech.after(match.end()) == '.' ? 1 : 0);
}

// A street has a name before it, and no name after it, or a number before: "12 Elm St."; a saint
// has a name after.
bool is_street(const Speech& speech, const Match& match) {
  const std::string_view before = speech.word_before(match.begin());
  const bool named = (!before.empty() && is_ascii_upper(before[0]) && !in_list(kTitles, before)) ||
                     in_list("st nd rd th", before);  // "5th St."
  static const Pattern kAddress(
      R"(\d+\w*(?: [NSEW]\.?| (?:North|South|East|West))?(?: [A-Z]\w+){0,3} $)");
  const std::string_view head = speech.text().substr(0, match.begin());
  const size_t from = head.size() > 60 ? head.size() - 60 : 0;
  if (!named) return false;
  if (kAddress.search(head.substr(from))) return true;
  return !(speech.after(match.end()) == ' ' && is_ascii_upper(speech.after(match.end() + 1)));
}

size_t say_saint_or_street(Speech& speech, const Match& match) {
  const bool doctor = match[1] == "Dr";
  const bool name_follows =
      speech.after(match.end()) == ' ' && is_ascii_upper(speech.after(match.end() + 1));
  if (is_street(speech, match)) {
    speech.say(doctor ? "Drive" : "Street");
    speech.mark_if_last(match.end());
    return match.end();
  }
  if (!name_follows && !doctor && !match[0].ends_with('.')) return Rule::kNotThis;
  speech.say(doctor ? "Doctor" : "Saint");
  return match.end();
}

size_t say_fort(Speech& speech, const Match& match) {
  speech.say("Fort");
  return match.end();
}

// "Portland, OR 97201".
size_t say_state(Speech& speech, const Match& match) {
  const std::string_view state = find(kStates, match[1]);
  // A city before the comma; what is also a word needs more: "Yes, OK", "Tulsa, OK 74101".
  const std::string_view city = speech.word_before(match.begin() - 2);
  if (state.empty() || city.empty() || !is_ascii_upper(city[0])) return Rule::kNotThis;
  const bool word = in_list("OK OH HI", match[1]) && !match.has(2);
  const bool first = city.data() == speech.text().data();
  if (word && (first || in_list("Yes No Well So Sure Right Fine Now", city))) return Rule::kNotThis;
  speech.say(state);
  if (match.has(2)) speech.say(digit_by_digit(match[2]));
  if (match.has(3)) {
    speech.mark(",");
    speech.say(digit_by_digit(match[3]));
  }
  return match.end();
}

// "U.S.", "J.R.R.", "a.m.".
size_t say_dotted(Speech& speech, const Match& match) {
  std::string letters(match[1]);
  std::erase(letters, '.');
  speech.say(spelled(letters) + (match.has(2) ? "'s" : ""));
  if (match[0].ends_with('.')) speech.mark_if_last(match.end());
  return match.end();
}

// "J. Smith", "George W. Bush": the period is no pause.
size_t say_initial(Speech& speech, const Match& match) {
  if (match[1] == "I" && !is_ascii_upper(speech.before(match.begin()))) {
    // "It was I. Then ...": only before a name that follows a name.
    const std::string_view before = speech.word_before(match.begin());
    if (before.empty() || !is_ascii_upper(before[0]) || in_list(kNumbered, before)) {
      return Rule::kNotThis;
    }
  }
  speech.say(match[1]);
  return match.end();
}

// --- Roman numerals ---

// "Henry VIII", "King Charles I", "John Smith III".
bool is_regnal(const Speech& speech, const Match& match, int value) {
  const std::string_view name = speech.word_before(match.begin());
  if (name.empty()) return false;
  const auto at = static_cast<size_t>(name.data() - speech.text().data());
  const std::string_view before = speech.word_before(at);
  const bool titled = in_list(kTitles, before) || in_list(kTitles, name);
  const bool of = speech.word_after(match.end()) == "of";
  if (match[1] == "I") {
    const char next = speech.after(match.end());
    const bool pronoun = next != '.' && next != ',' && next != ';';
    return in_list(kRegnal, name) && (titled || of || !pronoun);
  }
  if (in_list(kRegnal, name) || (titled && is_ascii_upper(name[0]))) return true;
  return value <= 5 && in_list(kRegnal, before) && is_ascii_upper(name[0]) &&
         !in_list(kNumbered, name);
}

size_t say_roman(Speech& speech, const Match& match) {
  const std::string_view letters = match[1];
  const std::optional<int> value = roman_value(letters);
  if (!value) return Rule::kNotThis;
  const std::string digits = std::to_string(*value);
  const std::string possessive = match.has(2) ? "'s" : "";
  const std::string_view next = speech.word_after(match.end());
  if (next == "century" || next == "centuries") {
    speech.say(ordinal(digits));
    return match.end();
  }
  const std::string_view before = speech.word_before(match.begin());
  if (is_regnal(speech, match, *value)) {
    speech.say({"the", ordinal(digits) + possessive});
    // "George III. died": no sentence ends.
    const bool period = speech.after(match.end()) == '.' && speech.after(match.end() + 1) == ' ' &&
                        is_ascii_lower(speech.after(match.end() + 2));
    return match.end() + (period ? 1 : 0);
  }
  const bool numbered = in_list(kNumbered, before);
  const bool plain =
      letters.size() >= 2 && *value < 50 && !before.empty() && is_ascii_upper(before[0]);
  // "II. The second part"
  const bool heading =
      letters.size() >= 2 && *value < 40 && match.begin() == 0 &&
      std::string_view(".):").find(speech.after(match.end())) != std::string_view::npos;
  if (!numbered && !plain && !heading) return Rule::kNotThis;
  if (letters.size() == 1 && std::string_view("CDLM").find(letters) != std::string_view::npos)
    return Rule::kNotThis;
  speech.say(cardinal(digits) + possessive);
  return match.end();
}

// "'tis", "'em": the apostrophe belongs to the word.
size_t say_elided(Speech& speech, const Match& match) {
  speech.say(match[0]);
  return match.end();
}

std::string digits_in_token(std::string_view digits) {
  if (digits.size() > 1 && digits[0] == '0') return digit_by_digit(digits);
  if (digits.size() > 4) return digit_by_digit(digits);
  return digits.size() > 2 ? in_pairs(digits) : cardinal(digits);
}

// A run of letters within a token with digits: "MP" in "MP3", "p" in "1080p", "covid" in "covid19".
void say_letters(Speech& speech, std::string_view letters) {
  const bool spell = letters.size() < 3 || is_initialism(speech, letters) || !has_vowel(letters);
  speech.say(spell ? spelled(letters) : as_word(speech, letters));
}

}  // namespace

void say_token(Speech& speech, std::string_view token) {
  const bool mixed = std::ranges::any_of(token, is_ascii_digit);
  // "mRNA", "iOS", "macOS".
  static const Pattern kInner("([a-z]{1,4})([A-Z]{2,5})(s?)$");
  if (const auto inner = kInner.match_at(token, 0); inner && is_spelled_out((*inner)[2])) {
    const std::string_view prefix = (*inner)[1];
    speech.say({prefix.size() == 1 ? spelled(prefix) : std::string(prefix), spelled((*inner)[2])});
    return;
  }
  if (!mixed) {
    // "CEOs", "FBI's".
    std::string_view stem = token;
    if (stem.ends_with("'s"))
      stem.remove_suffix(2);
    else if (stem.size() > 2 && stem.ends_with('s') && is_upper(stem.substr(0, stem.size() - 1)))
      stem.remove_suffix(1);
    else if (stem.ends_with("'S"))
      stem.remove_suffix(2);
    const bool contraction = token == "IT'S";
    const auto at = static_cast<size_t>(token.data() - speech.text().data());
    const bool suffix = at < speech.text().size() && speech.before(at) == '.' && token.size() > 1 &&
                        token.size() < 6 && !has_vowel(token);  // "report.pdf"
    if (suffix) return speech.say(spelled(token));
    if (contraction || !is_initialism(speech, stem)) return speech.say(as_word(speech, token));
    return speech.say(spelled(stem) + (stem.size() < token.size() ? "'s" : ""));
  }
  for (size_t at = 0; at < token.size();) {
    const size_t begin = at;
    const bool digit = is_ascii_digit(token[at]);
    while (at < token.size() && is_ascii_digit(token[at]) == digit) ++at;
    const std::string_view part = token.substr(begin, at - begin);
    if (digit) {
      speech.say(digits_in_token(part));
    } else {
      say_letters(speech, part);
    }
  }
}

void say_characters(Speech& speech, std::string_view text) {
  for (const char c : text) {
    if (is_ascii_letter(c)) {
      speech.say(spelled(std::string_view(&c, 1)));
    } else if (is_ascii_digit(c)) {
      speech.say(cardinal(std::string_view(&c, 1)));
    } else {
      speech.say(sign_name(c));
    }
  }
}

std::vector<Rule> word_rules() {
  std::vector<Rule> rules;
  const auto add = [&](unsigned starts, const std::string& pattern,
                       size_t (*say)(Speech&, const Match&)) {
    rules.push_back({starts, Pattern(pattern), say});
  };
  add(kLetter,
      R"((?:[eE]\.g\.|[iI]\.e\.|et al\.|a\.k\.a\.|w/o\b|w/(?=\s|\w)|c/o\b|n/a\b|N/A\b|and/or\b|vs\b(?!\.)|aka\b|R&D\b|Q&A\b|AT&T\b|Ph\.D\.|PhDs?\b|P\.S\.))",
      say_phrase);
  add(kLetter, R"([Tt]el(?=:|\.? [+\d(]))", say_telephone_sign);
  add(kUpper, R"((St|Dr)(?:\.|(?= [A-Z])))", say_saint_or_street);
  add(kUpper, R"(Ft\.(?= [A-Z]))", say_fort);
  add(kLetter, R"(([A-Za-z]{1,5})\. ?(?=\d|[A-Z]{1,3}-?\d))", say_before_number);
  add(kLetter, R"((Mr|Mrs|Ms|[A-Za-z]{2,6}(?=\.))(?:\.|\b(?= [A-Z])))", say_abbreviation);
  add(kUpper, R"((?<=[a-z], )([A-Z]{2})(?: (\d{5})(?:-(\d{4}))?)?(?![A-Za-z0-9'-]))", say_state);
  add(kLetter, R"(((?:[A-Za-z]\.){2,10}[A-Za-z]?)('s)?(?![A-Za-z0-9]))", say_dotted);
  add(kUpper, R"(([A-Z])\.(?= ?[A-Z]))", say_initial);
  add(kUpper, R"(([IVXLCDM]{1,15})('s)?(?![A-Za-z0-9-]))", say_roman);
  add(kSign, R"('(?i:tis|twas|em|til|cause|bout|twere|twill|n)(?![A-Za-z0-9]))", say_elided);
  return rules;
}

}  // namespace parley::text
