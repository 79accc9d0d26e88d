#include "parley/text/spoken/spoken_capitals.h"

#include <algorithm>

#include "parley/text/concat.h"
#include "parley/text/pattern.h"
#include "parley/text/spoken/spoken_number.h"
#include "parley/text/spoken/spoken_rules.h"
#include "parley/text/spoken/spoken_units.h"

namespace parley::text {

namespace {

// English words of two and three letters, written down for this file from memory. Those that are
// seen in capitals more often as abbreviations (AD, ID, PA, ETA, LED) are left out.
constexpr std::string_view kTwoLetters =
    "AH AM AN AS AT AX BE BY DO EH GO HA HE HI HO IF IN IS IT LO MA ME MY NO OF OH OK ON OR OW OX "
    "SO TO UH UM UP US WE YE";
constexpr std::string_view kThreeLetters =
    "ACE ACT ADD ADO AFT AGE AGO AID AIL AIM AIR ALE ALL AND ANT ANY APE APT ARC ARE ARK ARM ART "
    "ASH "
    "ASK ATE AWE AXE AYE BAD BAG BAN BAR BAT BAY BED BEE BEG BET BID BIG BIN BIT BOG BOO BOW BOX "
    "BOY "
    "BUD BUG BUM BUN BUS BUT BUY BYE CAB CAN CAP CAR CAT COB COD COG COP COT COW COY CRY CUB CUE "
    "CUP "
    "CUR CUT DAB DAD DAM DAY DEN DEW DID DIE DIG DIM DIN DIP DOE DOG DON DOT DRY DUB DUE DUG DUN "
    "DUO "
    "DYE EAR EAT EBB EEL EGG EGO ELF ELK ELM END EVE EWE EYE FAD FAN FAR FAT FED FEE FEW FIG FIN "
    "FIR "
    "FIT FIX FLU FLY FOE FOG FOR FOX FRY FUN FUR GAG GAP GAS GEL GEM GET GIN GOD GOT GUM GUN GUT "
    "GUY "
    "GYM HAD HAM HAS HAT HAY HEM HEN HER HEY HID HIM HIP HIS HIT HMM HOE HOG HOP HOT HOW HUB HUE "
    "HUG "
    "HUM HUT ICE ICY ILL INK INN ION IRE ITS IVY JAB JAM JAR JAW JAY JET JOB JOG JOT JOY JUG KEG "
    "KEY "
    "KID KIN KIT LAB LAD LAG LAP LAW LAX LAY LEG LET LID LIE LIP LIT LOG LOT LOW LYE MAD MAN MAP "
    "MAR "
    "MAT MAY MEN MET MIX MOB MOM MOP MUD MUG MUM NAG NAP NAY NET NEW NIL NOD NOR NOT NOW NUN NUT "
    "OAK "
    "OAR OAT ODD ODE OFF OFT OIL OLD ONE OPT ORB ORE OUR OUT OWE OWL OWN PAD PAL PAN PAT PAW PAY "
    "PEA "
    "PEG PEN PEP PER PET PIE PIG PIN PIT PLY POD POP POT PRO PRY PUB PUN PUP PUT RAG RAM RAN RAP "
    "RAT "
    "RAW RAY RED RIB RID RIG RIM RIP ROB ROD ROE ROT ROW RUB RUE RUG RUM RUN RUT RYE SAD SAG SAP "
    "SAT "
    "SAW SAY SEA SEE SET SEW SEX SHE SHH SHY SIN SIP SIR SIT SIX SKI SKY SLY SOB SOD SON SOW SOY "
    "SPA "
    "SPY SUB SUE SUM SUN TAB TAG TAN TAP TAR TAX TEA TEN THE THY TIE TIN TIP TOE TON TOO TOP TOW "
    "TOY "
    "TRY TUB TUG TWO URN USE VAN VAT VET VIA VOW WAR WAS WAX WAY WEB WED WEE WET WHO WHY WIG WIN "
    "WIT "
    "WOE WON WOO WOW YAM YES YET YOU ZAP ZOO ALSO ANN BEN BOB DAN JIM JOE KIM LEE MAX PAM RAY ROB "
    "RON "
    "ROY SAM SUE TED TIM TOM ZIP APP BIO BRA EON ERA ERR FAX FIB FOB GIG GOO HAH JIG LIB NIX NIP "
    "NIT "
    "OOH "
    "POX RAD SIS SOP TIC VIM WAD WRY YAK YAW YIN YIP ZEN ZIT EYED GNU GNAT BAH BOA BUB COO DAY DUD "
    "DUH EAU EWE FAB FLAX GAY HAW HEX HOB HUH IMP JUT LEI LOO LOB MIL NAH NIB OHS PAR PEE PIP POI "
    "RIGS SAC SIR SKIT SLIT SPUD TAT TEE TUX UGH UGLY WAG YAP YUM MAMA";

// Longer ones that look like words and are spelled.
constexpr std::string_view kSpelled =
    "AARP ACLU AFAIK ASAP CCTV ICAO IEEE IIRC IMAP IMHO NAACP NYSE UCLA UCSB UCSD UEFI UNSC "
    "USAF USDA USSR UUID YMCA YWCA IOU IOUS LGBTQ ISBN AOL HBO CEO CFO CTO COO CIA ETA FAQ UAE EPA "
    "EEOC EULA IAEA IATA OECD OEM OSI USAA URLS CEOS FAQS HTTPS";

// Abbreviations that are said as words.
constexpr std::string_view kNames =
    "NASA NATO AIDS OPEC NAFTA UNESCO UNICEF FIFA UEFA NASDAQ NASCAR ROM SIM GIF NOAA FEMA COVID "
    "SARS "
    "MERS ASCII ANSI ASEAN GUI CAPTCHA POTUS SCOTUS AWOL JAVA IKEA LEGO DOS BIOS CAD MIDI CERN "
    "ESOP "
    "ERISA HIPAA OSHA COBOL LAN WAN JPEG JSON YAML TOEFL LINUX UNIX APEC ALDI LIDL BAFTA INTERPOL "
    "LOL";

// What begins with a capital in the middle of a sentence and matters to rules.
constexpr std::string_view kCapitalized =
    "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY JANUARY FEBRUARY MARCH APRIL JUNE "
    "JULY "
    "AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER";
// Abbreviations elsewhere, words among others in capitals.
constexpr std::string_view kAlsoWords = "LED AD";
constexpr std::string_view kAbbreviated =
    "MR MRS MS DR PROF ST JR SR LT COL CAPT SGT GEN GOV SEN REP REV HON MT FT AVE BLVD RD INC LTD "
    "CORP CO DEPT JAN FEB MAR APR JUN JUL AUG SEP SEPT OCT NOV DEC MON TUE TUES WED THU THUR THURS "
    "FRI SAT SUN FIG VOL NO";

// Syllables of English: consonants that may begin one, vowels, consonants that may end one.
const Pattern& syllables() {
  static const Pattern kSyllables(
      "(?:(?:BL?|BR|CH?R?|CL|D[RW]?|FL?|FR|GH?|GL|GN|GR|H|J|K[NL]?|L|M|N|PH?|PL|PR|PS|QU|RH?|SCH|"
      "SCR?|SHR?|SK|SL|SM|SN|SPH?|SPL|SPR|SQU|STR?|SW|S|TH?R?|TW|V|WH|WR?|X|Y|Z)?"
      "(?:[AEIOU]{1,3}|[AEIOU]{0,2}Y)"
      "(?:B|BS|C|CE|CH|CHT|CK|CKS|CT|D|DD|DGE?|DS|FF?|FFS?|FT|GG?|GHT?|GHTS?|GN|GS|H|K|KS|LL?|LLS|"
      "LB|"
      "LD|LDS|LF|LK|LKS|LM|LMS|LP|LPS|LS|LT|LTS|LVE|M|MB|MM|MP|MPS|MPT|MS|N|NCE?|NCH|ND|NDS|NG|NGS|"
      "NK|NKS|NN|NS|NT|NTH|NTS|P|PP|PS|PT|PTS|Q|R|RR|RB|RC|RCH|RD|RDS|RE|RF|RG|RK|RKS|RL|RLD|RLS|"
      "RM|"
      "RMS|RN|RNS|RP|RS|RSE|RST|RT|RTH|RTS|S|SH|SK|SKS|SM|SP|SS|ST|STS|T|TCH|TH|THS|TS|TT|V|W|WK|"
      "WL|"
      "WLS|WN|WNS|WS|X|XT|Z|ZZ)?)+$");
  return kSyllables;
}

// A run of capitals with apostrophes inside.
struct Token {
  size_t begin, end;
  bool mixed;  // with digits or a "&": a name rather than words
};

Token token_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() &&
         (is_ascii_alnum(text[end]) ||
          (text[end] == '\'' && end + 1 < text.size() && is_ascii_letter(text[end + 1])))) {
    ++end;
  }
  const bool joined = (at > 0 && text[at - 1] == '&') || (end < text.size() && text[end] == '&');
  return {at, end, joined || std::ranges::any_of(text.substr(at, end - at), is_ascii_digit)};
}

// "DON'T", "IT'S"; "FBI'S" is none.
bool is_word(std::string_view token) {
  std::string letters(token.substr(0, token.find('\'')));
  const bool contracted = letters.size() < token.size();
  if (contracted && letters.size() < 2) return true;  // "I'M", "O'CLOCK"
  if (in_list(kAlsoWords, letters)) return true;
  return letters.size() >= 2 && (!is_spelled_out(letters) || token.ends_with("N'T"));
}

bool is_unit(std::string_view text, const Token& token) {
  size_t before = token.begin;
  if (before > 0 && text[before - 1] == ' ') --before;
  return before > 0 && is_ascii_digit(text[before - 1]) &&
         find_unit(lower_ascii(text.substr(token.begin, token.end - token.begin))) != nullptr;
}

bool is_numeral(std::string_view token, bool after_word) {
  return after_word && token.size() >= 2 && !in_list("MIX DIM MILD LID MID", token) &&
         roman_value(token).value_or(100) < 50;
}

bool is_upper(std::string_view word) { return std::ranges::all_of(word, is_ascii_upper); }

// Whether the words around are in capitals too: "STOP RIGHT THERE".
bool is_shouting(const Speech& speech, std::string_view token) {
  const auto at = static_cast<size_t>(token.data() - speech.text().data());
  if (at > speech.text().size()) return false;  // not of this text
  const auto loud = [](std::string_view word) {
    return word.size() > 1 && is_upper(word) && !is_spelled_out(word) && !is_said_as_name(word);
  };
  return loud(speech.word_before(at)) || loud(speech.word_after(at + token.size()));
}

class Quietened {
 public:
  explicit Quietened(std::string_view text) : text_(text), result_(text) {}

  std::string run() {
    for (size_t at = 0; at < text_.size();) {
      if (!is_ascii_alnum(text_[at])) {
        ++at;
        continue;
      }
      const Token token = token_at(text_, at);
      if (!token.mixed) take(token);
      if (is_ascii_digit(text_[at]) && token.end - at > 2 &&
          in_list("ST ND RD TH", text_.substr(token.end - 2, 2)))
        lower(token.end - 2, token.end);  // "5TH"
      at = token.end;
    }
    return std::move(result_);
  }

 private:
  void take(const Token& token) {
    const std::string_view word = text_.substr(token.begin, token.end - token.begin);
    const bool period = token.end < text_.size() && text_[token.end] == '.';
    if (word.size() == 1) {  // "A CAT", but "VITAMIN A"
      const bool article = word == "A" && token.end + 1 < text_.size() && text_[token.end] == ' ' &&
                           is_ascii_letter(text_[token.end + 1]);
      if (article && token.begin > 0) result_[token.begin] = 'a';
    } else if (is_numeral(word, after_word_)) {
      result_[last_] = text_[last_];  // a name, or what is numbered
    } else if (is_unit(text_, token)) {
      lower(token.begin, token.end);
    } else if (period && in_list(kAbbreviated, word)) {
      lower(token.begin + 1, token.end);
      named_ = token.end + 2;  // "MR. SMITH"
    } else if (is_word(word)) {
      const bool capital = token.begin == 0 || token.begin == named_ ||
                           in_list(kCapitalized, word) || is_said_as_name(word);
      const bool pronoun = word.starts_with("I'");
      lower(token.begin + (capital || pronoun ? 1 : 0), token.end);
    }
    last_ = token.begin;
    after_word_ = word.size() > 2;
  }

  void lower(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (is_ascii_upper(result_[i])) result_[i] = static_cast<char>(result_[i] + 32);
    }
  }

  std::string_view text_;
  std::string result_;
  size_t named_ = 0;  // where a name begins
  size_t last_ = 0;   // where the token before begins
  bool after_word_ = false;
};

}  // namespace

bool is_said_as_name(std::string_view capitals) { return in_list(kNames, capitals); }

bool is_spelled_out(std::string_view capitals) {
  if (in_list(kSpelled, capitals)) return true;
  if (in_list(kNames, capitals) || in_list("HMM SHH PSST TSK BRR GRR RHYTHM", capitals))
    return false;
  if (capitals.find_first_of("AEIOUY") == std::string_view::npos) return capitals.size() < 7;
  if (capitals.size() == 2) return !in_list(kTwoLetters, capitals);
  if (capitals.size() == 3) return !in_list(kThreeLetters, capitals);
  return capitals.size() < 6 && !syllables().match_at(capitals, 0);
}

std::string in_small_letters(std::string_view text) {
  if (std::ranges::any_of(text, is_ascii_lower)) return std::string(text);
  size_t tokens = 0, words = 0;
  for (size_t at = 0; at < text.size();) {
    const Token token = is_ascii_upper(text[at]) ? token_at(text, at) : Token{at, at + 1, true};
    tokens += token.mixed ? 0 : 1;
    words += !token.mixed && is_word(text.substr(token.begin, token.end - token.begin)) ? 1 : 0;
    at = token.end;
  }
  return tokens > 1 && words > 0 ? Quietened(text).run() : std::string(text);
}

bool is_initialism(const Speech& speech, std::string_view word) {
  if (word.size() < 2 || !is_upper(word)) return false;
  if (in_list("IT US AM", word)) {
    const bool verb =
        word == "AM" &&
        speech.word_before(static_cast<size_t>(word.data() - speech.text().data())) == "I";
    return !verb && !is_shouting(speech, word);
  }
  return is_spelled_out(word);
}

std::string as_word(const Speech& speech, std::string_view letters) {
  const std::string lower = lower_ascii(letters);
  if (lower == "ok") return speech.words().empty() ? "Okay" : "okay";
  if (letters == "JPEG") return "jay-peg";
  if (letters == "JSON") return "Jason";
  if (letters == "YAML") return "Yammel";
  const bool loud = letters.size() > 1 && std::ranges::none_of(letters, is_ascii_lower);
  if (!loud) return std::string(letters);
  const bool capital =
      speech.words().empty() || is_said_as_name(letters) || letters.starts_with("I'");
  return capital ? concat({letters.substr(0, 1), lower.substr(1)}) : lower;
}

}  // namespace parley::text
