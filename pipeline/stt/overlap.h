// Joins the segments of two windows that overlap.
#pragma once

#include <string>
#include <vector>

#include "parley/pipeline/stt/transcript.h"
#include "parley/text/tokenizer/tokenizer.h"

namespace parley::pipeline {

// Cuts both at the seam of their words (pipeline/stt/stitcher.h): the rest of `earlier` and the
// rest of `later` one after the other are the text. Words with measured times are used where
// segments have them, else interpolated ones. The overlap is [start, end) seconds.
void join_overlap(const text::Tokenizer& tokenizer, const std::string& language, double start,
                  double end, std::vector<Segment>& earlier, std::vector<Segment>& later);

}  // namespace parley::pipeline
