// Words in capitals: which are read and which are spelled, and sentences all of capitals.
#pragma once

#include <string>
#include <string_view>

#include "parley/text/spoken/spoken_rules.h"

namespace parley::text {

// Whether letters in capitals (two or more, nothing else) are said one by one: "FBI", "HTML", but
// not "NASA" or "KEY". By lists of English words of up to three letters and of exceptions, and by
// whether the rest could be an English syllable.
bool is_spelled_out(std::string_view capitals);

// Whether they are an abbreviation that is said as a word: "NASA".
bool is_said_as_name(std::string_view capitals);

// A text without small letters, some of whose words are English, as it is written otherwise: "THE
// FBI CALLED ON MONDAY." -> "The FBI called on Monday." Other texts come back as they are. Bytes
// stay where they are.
std::string in_small_letters(std::string_view text);

// Whether a word of the text is spelled where it stands: "the US economy", but "JOIN US NOW".
bool is_initialism(const Speech& speech, std::string_view word);

// Letters that are a word, as a voice has learned it: capitals are for names and beginnings.
std::string as_word(const Speech& speech, std::string_view letters);

}  // namespace parley::text
