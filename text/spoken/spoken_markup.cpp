// Markdown and HTML within a sentence: what a reader says of it is its text.
#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

namespace {

size_t say_nothing(Speech&, const Match& match) { return match.end(); }

// The end of a block ends what was said; cells and lines make a pause.
size_t say_tag(Speech& speech, const Match& match) {
  const std::string name = lower_ascii(match[1]);
  if (in_list(
          "p div h1 h2 h3 h4 h5 h6 li tr ul ol dl table blockquote section article header footer "
          "title head body html figure hr main nav aside",
          name)) {
    speech.mark(".");
  } else if (in_list("br td th dt dd option", name)) {
    speech.mark(",");
  }
  return match.end();
}

// "<https://example.com>", "<a@example.com>".
size_t say_between_angles(Speech& speech, const Match& match) {
  say_address(speech, match[1]);
  return match.end();
}

// A character that Markdown takes literally: "\*".
size_t say_escaped(Speech&, const Match& match) { return match.begin() + 1; }

}  // namespace

size_t markdown_marks(std::string_view line) {
  static const Pattern kQuotes(R"( *(?:>(?=[ >\n]|$)[ >]*)*)");
  static const Pattern kFence(R"((?:`{3,}|~{3,})[^\n]*)");
  static const Pattern kHeading(R"(#{1,6} +)");
  static const Pattern kItem(R"([-*+] +(?!\d)(?:\[[ xX]\] )?)");
  const size_t begin = kQuotes.match_at(line, 0)->end();
  for (const Pattern* pattern : {&kFence, &kHeading, &kItem}) {
    if (const auto match = pattern->match_at(line, begin)) return match->end();
  }
  return begin;
}

std::vector<Rule> markup_rules() {
  std::vector<Rule> rules;
  const auto add = [&](const char* pattern, size_t (*say)(Speech&, const Match&)) {
    rules.push_back({kSign, Pattern(pattern), say});
  };
  // [text](address "title"): first what opens it, later the rest.
  add(R"(!?\[(?=[^\[\]]{1,1000}+\](?:\(|\[[\w -]{1,100}\])))", say_nothing);
  add(R"(\]\((?:<[^<>]*+>|(?:[^()\s]++|\([^()\s]*+\))*+)(?: ++(?:"[^"]*+"|'[^']*+'))? *+\))",
      say_nothing);
  add(R"(\]\[[\w -]{1,100}\])", say_nothing);
  add(R"(\[\^[\w-]{1,40}\]:?)", say_nothing);
  add(R"((?s)<!--.{0,4000}?-->)", say_nothing);
  add(R"((?i)<!doctype[^<>]{0,200}>|<\?[^<>]{0,200}\?>)", say_nothing);
  add(R"((?si)<(script|style)\b[^<>]{0,500}>.{0,4000}?</\1\s*>)", say_nothing);
  add(R"(<((?:https?://|ftp://|mailto:)[^\s<>]{1,2000}|[\w.+%-]{1,64}@[\w.-]{1,255})>)",
      say_between_angles);
  add(R"((?i)</?(abbr|address|article|aside|a|blockquote|body|big|br|button|b|caption|center|cite|code|)"
      R"(dd|del|details|dfn|div|dl|dt|em|figcaption|figure|font|footer|form|h[1-6]|header|head|hr|html|)"
      R"(iframe|img|input|ins|i|kbd|label|link|li|main|mark|meta|nav|ol|option|pre|p|q|samp|script|)"
      R"(section|select|small|span|strike|strong|style|sub|summary|sup|s|table|tbody|td|textarea|tfoot|)"
      R"(thead|th|time|title|tr|tt|ul|u|var|video|wbr)(?: +[\w:-]{1,40}+ *= *(?:"[^"]{0,2000}"|)"
      R"('[^']{0,2000}'|[^\s"'=<>`]{1,500}))* */?>)",
      say_tag);
  add(R"(\\(?=[][*_#`~<>!|(){}.+-]))", say_escaped);
  return rules;
}

}  // namespace parley::text
