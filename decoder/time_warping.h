// Dynamic time warping of tokens to the audio that they were heard in.
// Reference: openai/whisper timing.py (find_alignment, median_filter, dtw).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parley/core/nn/context.h"
#include "parley/core/nn/tensor.h"

namespace parley::decoder {

// Cross-attention of some heads, made comparable, and its mean added up: for each head and position
// the tokens are brought to mean 0 and (population) standard deviation 1, then each token's row is
// smoothed by a median over 7 positions, reflected at both ends.
// attention: f32 [heads, tokens, positions], used as scratch; sum: f32 [tokens, positions].
void add_standardized(nn::Context& ctx, const nn::Tensor& attention, const nn::Tensor& sum);

// The monotone path through similarity [tokens, positions] from corner to corner with the greatest
// sum, each step one token, one position, or both further; of equal ways the one that stays with
// its token. Returns the position at which the path comes to each token. Both sides must be at
// least 1.
std::vector<int64_t> first_positions(const nn::Tensor& similarity);

}  // namespace parley::decoder
