// Letters by their names, for voices that learned words only.
#pragma once

#include <vector>

#include "parley/text/spoken/spoken_form.h"

namespace parley::text {

// "the F B I" -> "the eff bee I": single capitals become what they are called. "I" stays, and "A"
// unless it stands beside another letter, so that pronoun and article do.
void name_letters(std::vector<SpokenWord>& words);

}  // namespace parley::text
