// Matrices made smaller: floats to integers with scales, or to indices into palettes.
#pragma once

#include "parley/core/nn/stored_matrix.h"
#include "parley/core/nn/tensor.h"
#include "parley/core/nn/thread_team.h"

namespace parley::stage {

// Owns what its view shows.
struct QuantizedMatrix {
  nn::Buffer data;
  nn::Buffer scale;
  nn::Buffer palette;
  nn::StoredMatrix view;
};

// `source` (floats, or compressed already) in `storage`, which is not kFloat. The team shares the
// rows; the result does not depend on its size.
//
// int8: the largest magnitude of an output (or block) becomes 127. int4: of 17 scales about the
// largest magnitude the one with the least squared error, as ggml's quantizers search. palettes:
// one-dimensional k-means (Lloyd's algorithm) over each 16 outputs, each first divided by its
// largest magnitude.
QuantizedMatrix quantize(const nn::StoredMatrix& source, nn::Storage storage, nn::ThreadTeam& team);

}  // namespace parley::stage
