// Speech that the voice detector found and no text covers.
#pragma once

#include <span>
#include <vector>

#include "parley/dsp/speech_segmenter.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

// The spans of `heard`, a part of a stream that was decoded, to decode again. speech: what the
// detector found in it; covered: where there is text. Each result lies between two covered spans
// and holds uncovered speech that is long enough to be a word, with some silence around it; all
// in order. When nothing is covered, these are the two sides of the longest pause, or, without a
// pause worth it, nothing: the same span again would give the same text.
std::vector<dsp::Span> unheard(const dsp::Span& heard, std::span<const dsp::SpeechSpan> speech,
                               std::vector<dsp::Span> covered);

// Less text than people say in the speech that was found within its time: the model's times cover
// speech that its text does not. speech: in samples of the stream.
bool is_too_short(const Segment& segment, std::span<const dsp::SpeechSpan> speech);

}  // namespace parley::pipeline
