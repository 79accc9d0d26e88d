#include "parley/text/spoken/ssml.h"

#include <expat.h>

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>

#include "parley/core/base/error.h"
#include "parley/text/spoken/ssml_values.h"

namespace parley::text {

namespace {

constexpr size_t kMaxDepth = 32;

struct Attribute {
  std::string_view name, value;
};

// Expat calls, we build spans. What is thrown inside a callback is kept until expat has returned.
class SsmlReader {
 public:
  SsmlReader(const EnglishSpokenForm& spoken_form, std::string where)
      : spoken_form_(spoken_form), where_(std::move(where)), parser_(XML_ParserCreate("UTF-8")) {
    if (parser_ == nullptr) throw Error(where_, "out of memory");
    XML_SetUserData(parser_.get(), this);
    XML_SetElementHandler(
        parser_.get(),
        [](void* self, const char* name, const char** attributes) {
          of(self).guard([&] { of(self).start(name, attributes); });
        },
        [](void* self, const char* name) { of(self).guard([&] { of(self).end(name); }); });
    XML_SetCharacterDataHandler(parser_.get(), [](void* self, const char* text, int length) {
      of(self).guard([&] { of(self).characters({text, static_cast<size_t>(length)}); });
    });
    XML_SetStartDoctypeDeclHandler(parser_.get(), [](void* self, const char*, const char*,
                                                     const char*, int) {
      of(self).guard([&] { of(self).fail("document types are refused", "remove <!DOCTYPE ...>"); });
    });
  }

  std::vector<SsmlSpan> read(std::string_view document) {
    // Expat takes lengths as int.
    for (size_t at = 0; at < document.size() || at == 0;) {
      const size_t length = std::min(document.size() - at, size_t{1} << 30);
      const bool last = at + length == document.size();
      const XML_Status status =
          XML_Parse(parser_.get(), document.data() + at, static_cast<int>(length), last ? 1 : 0);
      if (failure_) std::rethrow_exception(failure_);
      if (status != XML_STATUS_OK) {
        fail(std::string("not well-formed: ") + XML_ErrorString(XML_GetErrorCode(parser_.get())),
             "");
      }
      if (last) break;
      at += length;
    }
    return std::move(spans_);
  }

 private:
  struct Element {
    std::string name;
    double outer_rate;
    // Of <say-as> and <sub>: what was inside, where it began, what is to be said.
    std::string content;
    size_t content_begin = 0;
    std::optional<SayAs> say_as;
    std::string format;
    std::string alias;
  };
  struct FreeParser {
    void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
  };

  static SsmlReader& of(void* self) { return *static_cast<SsmlReader*>(self); }

  template <typename Function>
  void guard(const Function& function) {
    if (failure_) return;
    try {
      function();
    } catch (...) {
      failure_ = std::current_exception();
      XML_StopParser(parser_.get(), XML_FALSE);
    }
  }

  [[noreturn]] void fail(const std::string& problem, const std::string& advice) const {
    throw Error(where_ + ":" + std::to_string(XML_GetCurrentLineNumber(parser_.get())), problem,
                advice);
  }

  size_t position() const { return static_cast<size_t>(XML_GetCurrentByteIndex(parser_.get())); }
  size_t event_size() const { return static_cast<size_t>(XML_GetCurrentByteCount(parser_.get())); }

  // --- elements ---

  void start(std::string_view name, const char** raw) {
    std::vector<Attribute> attributes;
    for (; *raw != nullptr; raw += 2) attributes.push_back({raw[0], raw[1]});
    if (elements_.size() == kMaxDepth)
      fail("elements are nested too deeply", "at most 32 are allowed");
    if (elements_.empty() && name != "speak") {
      fail("the document begins with <" + std::string(name) + ">", "it must be <speak>");
    }
    if (!elements_.empty() && (elements_.back().name == "break" || holds_text_only())) {
      fail("<" + std::string(name) + "> stands inside <" + elements_.back().name + ">",
           "only text may");
    }
    Element element{.name = std::string(name),
                    .outer_rate = rate_,
                    .content = {},
                    .content_begin = 0,
                    .say_as = {},
                    .format = {},
                    .alias = {}};
    open(element, attributes);
    elements_.push_back(std::move(element));
  }

  bool holds_text_only() const {
    return elements_.back().name == "say-as" || elements_.back().name == "sub";
  }

  void open(Element& element, const std::vector<Attribute>& attributes) {
    const std::string& name = element.name;
    if (name == "speak") {
      if (!elements_.empty())
        fail("<speak> stands inside another element", "it must be the outermost");
      open_speak(attributes);
    } else if (name == "p" || name == "s") {
      allow(name, attributes, {});
      end_span(false, false);
    } else if (name == "break") {
      add_break(attributes);
    } else if (name == "prosody") {
      open_prosody(attributes);
    } else if (name == "say-as") {
      open_say_as(element, attributes);
    } else if (name == "sub") {
      allow(name, attributes, {"alias"});
      element.alias = required(name, attributes, "alias");
    } else {
      fail("<" + name + "> is not supported",
           "known are <speak> <p> <s> <break> <say-as> <sub> <prosody rate=...>");
    }
    element.content_begin = position();
  }

  void open_speak(const std::vector<Attribute>& attributes) {
    for (const auto& [name, value] : attributes) {
      const bool english = value == "en" || value.starts_with("en-");
      if (name == "xml:lang" && !english) {
        fail("the language " + std::string(value) + " is not supported", "only English is");
      }
      if (name == "version" || name == "xml:lang" || name == "xmlns" ||
          name.starts_with("xmlns:") || name == "xsi:schemaLocation") {
        continue;
      }
      allow("speak", {{name, value}}, {});
    }
  }

  void add_break(const std::vector<Attribute>& attributes) {
    allow("break", attributes, {"time", "strength"});
    std::optional<int> pause = break_strength("medium");
    if (const auto strength = find(attributes, "strength")) {
      pause = break_strength(*strength);
      if (!pause)
        bad("break", "strength", *strength, "none, x-weak, weak, medium, strong or x-strong");
    }
    if (const auto time = find(attributes, "time")) {
      pause = break_time(*time);
      if (!pause) bad("break", "time", *time, "for example 500ms or 1.5s, at most 60s");
    }
    end_span(false, false);
    if (spans_.empty() || spans_.back().rate != rate_) {
      spans_.push_back({.text = {}, .runs = {}, .pause_ms = 0, .rate = rate_});
    }
    spans_.back().pause_ms = std::min(spans_.back().pause_ms.value_or(0) + *pause, 60'000);
  }

  void open_prosody(const std::vector<Attribute>& attributes) {
    allow("prosody", attributes, {"rate"});
    const std::string_view value = required("prosody", attributes, "rate");
    const std::optional<double> rate = prosody_rate(value, rate_);
    if (!rate)
      bad("prosody", "rate", value, "x-slow to x-fast, or a factor or percentage from 0.25 to 4");
    if (*rate != rate_) end_span(false, false);
    rate_ = *rate;
  }

  void open_say_as(Element& element, const std::vector<Attribute>& attributes) {
    allow("say-as", attributes, {"interpret-as", "format"});
    const std::string_view kind = required("say-as", attributes, "interpret-as");
    element.say_as = say_as(kind);
    if (!element.say_as) {
      bad("say-as", "interpret-as", kind,
          "cardinal, ordinal, digits, characters, fraction, unit, date, time, telephone, currency "
          "or year");
    }
    if (const auto format = find(attributes, "format")) {
      const bool date = element.say_as == SayAs::kDate;
      const bool twelve_hours =
          element.say_as == SayAs::kTime && (*format == "hms12" || *format == "hms24");
      if (!(date && is_date_format(*format)) && !twelve_hours) {
        bad("say-as", "format", *format, "dates have mdy, dmy, ymd, md, dm, ym, my, d, m or y");
      }
      element.format = *format;
    }
  }

  void end(std::string_view) {
    Element element = std::move(elements_.back());
    elements_.pop_back();
    if (element.name == "say-as" || element.name == "sub") return say(element);
    if (element.name == "prosody") {
      if (rate_ != element.outer_rate) end_span(false, false);
      rate_ = element.outer_rate;
    }
    if (element.name == "s") end_span(true, false);
    if (element.name == "p") end_span(true, true);
    if (element.name == "speak") end_span(true, true);
  }

  // What is said for <say-as> and <sub>.
  void say(const Element& element) {
    const std::string words =
        element.name == "sub"
            ? element.alias
            : spoken_form_.speak_as(*element.say_as, element.content, element.format).text();
    const size_t end = position() + event_size();
    append(words, {element.content_begin, end}, false);
  }

  // --- text ---

  void characters(std::string_view text) {
    if (elements_.empty()) return;
    if (holds_text_only()) {
      elements_.back().content += text;
      return;
    }
    const bool blank = text.find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (elements_.back().name == "break" && !blank)
      fail("<break> has text inside", "it must be empty");
    append(text, {position(), position() + event_size()}, event_size() == text.size());
  }

  void append(std::string_view text, SourceRange source, bool verbatim) {
    if (text.empty()) return;
    std::vector<SsmlSpan::Run>& runs = span_.runs;
    const bool follows =
        !runs.empty() && runs.back().verbatim && verbatim && runs.back().source.end == source.begin;
    if (follows) {
      runs.back().source.end = source.end;
    } else {
      runs.push_back({span_.text.size(), source, verbatim});
    }
    span_.text += text;
  }

  void end_span(bool ends_sentence, bool ends_paragraph) {
    if (span_.text.find_first_not_of(" \t\r\n") != std::string::npos) {
      span_.rate = rate_;
      spans_.push_back(std::move(span_));
    }
    span_ = {};
    if (spans_.empty()) return;
    spans_.back().ends_sentence |= ends_sentence;
    spans_.back().ends_paragraph |= ends_paragraph;
  }

  // --- attributes ---

  void allow(const std::string& element, const std::vector<Attribute>& attributes,
             std::initializer_list<std::string_view> names) const {
    for (const Attribute& attribute : attributes) {
      if (std::ranges::find(names, attribute.name) == names.end()) {
        fail("attribute " + std::string(attribute.name) + " of <" + element + "> is not supported",
             "remove it");
      }
    }
  }

  static std::optional<std::string_view> find(const std::vector<Attribute>& attributes,
                                              std::string_view name) {
    const auto found = std::ranges::find(attributes, name, &Attribute::name);
    return found == attributes.end() ? std::nullopt : std::optional(found->value);
  }

  std::string_view required(const std::string& element, const std::vector<Attribute>& attributes,
                            std::string_view name) const {
    const auto value = find(attributes, name);
    if (!value) fail("<" + element + "> has no " + std::string(name), "add it");
    return *value;
  }

  [[noreturn]] void bad(const std::string& element, const std::string& name, std::string_view value,
                        const std::string& advice) const {
    fail("<" + element + " " + name + "=\"" + std::string(value) + "\"> is not understood", advice);
  }

  const EnglishSpokenForm& spoken_form_;
  std::string where_;
  std::unique_ptr<XML_ParserStruct, FreeParser> parser_;
  std::exception_ptr failure_;
  std::vector<Element> elements_;
  std::vector<SsmlSpan> spans_;
  SsmlSpan span_;
  double rate_ = 1;
};

}  // namespace

SourceRange SsmlSpan::source_of(size_t begin, size_t end) const {
  const auto run_at = [&](size_t at) {
    return std::ranges::upper_bound(runs, at, {}, &Run::begin) - 1;
  };
  const auto first = run_at(begin);
  const auto last = run_at(end - 1);
  return {first->verbatim ? first->source.begin + (begin - first->begin) : first->source.begin,
          last->verbatim ? last->source.begin + (end - last->begin) : last->source.end};
}

std::vector<SsmlSpan> parse_ssml(std::string_view document, const EnglishSpokenForm& spoken_form,
                                 const std::string& where) {
  return SsmlReader(spoken_form, where).read(document);
}

}  // namespace parley::text
