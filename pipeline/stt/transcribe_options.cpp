#include "parley/pipeline/stt/transcribe_options.h"

#include <sstream>

#include "parley/core/base/error.h"
#include "parley/pipeline/stt/visit_options.h"
#include "parley/text/languages.h"
#include "parley/text/utf8.h"

namespace parley::pipeline {

namespace {

// Each option by what it may hold; not a number is in no range.
struct Check {
  template <typename Number>
  void operator()(const OptionInfo& info, const Number& value, const Range<Number>& range) const {
    if (range.holds(value)) return;
    std::ostringstream text;
    text << "must be between " << range.least << " and " << range.most;
    throw Error(std::string(info.name), text.str());
  }
  template <typename Number>
  void operator()(const OptionInfo& info, const std::vector<Number>& values,
                  const Range<Number>& range) const {
    require(!values.empty(), info, "must not be empty");
    for (size_t i = 0; i < values.size(); ++i) {
      (*this)(info, values[i], range);
      require(i == 0 || values[i] > values[i - 1], info, "must rise from one to the next");
    }
  }
  template <typename Value, size_t kCount>
  void operator()(const OptionInfo& info, Value value,
                  const std::array<Choice<Value>, kCount>& choices) const {
    for (const Choice<Value>& choice : choices) {
      if (choice.value == value) return;
    }
    throw Error(std::string(info.name), "unknown choice");
  }
  void operator()(const OptionInfo&, bool, Flag) const {}
  void operator()(const OptionInfo& info, const std::string& value, Text) const {
    require(text::is_valid_utf8(value), info, "must be UTF-8");
  }
  void operator()(const OptionInfo& info, const std::vector<std::string>& values, TextList) const {
    for (const std::string& value : values) (*this)(info, value, Text{});
  }
  void operator()(const OptionInfo& info, const std::string& code, Languages) const {
    if (!code.empty()) require(text::language_code(code) == code, info, "must be a language code");
  }
  void operator()(const OptionInfo& info, const std::vector<std::string>& codes, Languages) const {
    for (const std::string& code : codes) (*this)(info, code, Languages{});
  }

 private:
  static void require(bool good, const OptionInfo& info, const char* what) {
    if (!good) throw Error(std::string(info.name), what);
  }
};

}  // namespace

void check_options(const TranscribeOptions& options) { visit_options(options, Check{}); }

}  // namespace parley::pipeline
