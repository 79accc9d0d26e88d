// Speech that the voice detector found and no text covers.
#pragma once

#include <span>
#include <vector>

#include "dsp/speech_segmenter.h"

namespace parley::pipeline {

// The spans of `heard`, a part of a stream that was decoded, to decode again. speech: what the
// detector found in it; covered: where there is text. Each result lies between two covered spans
// and holds uncovered speech that is long enough to be a word, with some silence around it; all
// in order. When nothing is covered, these are the two sides of the longest pause, or, without a
// pause worth it, nothing: the same span again would give the same text.
std::vector<dsp::Span> unheard(const dsp::Span& heard, std::span<const dsp::SpeechSpan> speech,
                               std::vector<dsp::Span> covered);

}  // namespace parley::pipeline
