// Text that a model writes where nobody speaks.
#pragma once

#include <span>
#include <string_view>

#include "parley/dsp/speech_segmenter.h"
#include "parley/pipeline/stt/transcript.h"

namespace parley::pipeline {

// One of the phrases that Whisper's training data (subtitles of videos) taught it to write into
// silence: "Thank you for watching!", "you", "Subtitles by ...", in several languages; or no word
// at all ("...", "[Music]"). Case and punctuation do not matter.
bool is_stock_phrase(std::string_view text);

// What the segment is rejected for, or nothing. speech: what the detector found around it, in
// samples of the stream; none at all when nobody looked. before: the text of the segment before
// it. A score is low when the segment's no_speech_prob is above no_speech_threshold and its mean
// log-probability is no better than that of made-up text.
//   no speech was found in its time: a low score, a stock phrase, or the text before once more
//   the detector was not sure:       a low score
//   otherwise:                       a low score and a stock phrase
std::string_view why_invented(const Segment& segment, std::span<const dsp::SpeechSpan> speech,
                              std::string_view before, float no_speech_threshold);

}  // namespace parley::pipeline
