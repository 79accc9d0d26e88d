// The values of SSML's attributes (for text/spoken/ssml.cpp). Each gives nothing for what it does
// not understand.
#pragma once

#include <optional>
#include <string_view>

#include "parley/text/spoken/spoken_form.h"

namespace parley::text {

// "500ms", "1.5s": milliseconds, at most a minute.
std::optional<int> break_time(std::string_view value);
// "none" to "x-strong": milliseconds.
std::optional<int> break_strength(std::string_view value);
// "slow", "120%", "1.2", "+20%": the rate where it was `outer`. Between 0.25 and 4.
std::optional<double> prosody_rate(std::string_view value, double outer);
// "ordinal", "digits", ...
std::optional<SayAs> say_as(std::string_view value);
// Letters of d, m, y, each once: for dates.
bool is_date_format(std::string_view value);

}  // namespace parley::text
