// Arrays as numpy.save() writes them (numpy/lib/format.py), versions 1 to 3.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace parley::stage {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;  // in row-major order
};

// Little-endian f2, f4 and f8, not in Fortran order. Throws Error, named by `where`, for anything
// else, for damaged files, and for more than max_elements.
NpyArray parse_npy(std::span<const std::byte> file, const std::string& where, size_t max_elements);

}  // namespace parley::stage
