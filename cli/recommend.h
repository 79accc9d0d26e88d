// Advice to the users of a terminal.
#pragma once

#include <string>

namespace parley::cli {

// Tells the user of a terminal, on standard error and once a day, of a model that does better:
// "transcribe: ADVICE". $XDG_CACHE_HOME/parley (else ~/.cache/parley) remembers when; where nothing
// can be remembered, it is told every time.
void recommend(const std::string& program, const std::string& advice);

}  // namespace parley::cli
