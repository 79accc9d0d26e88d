// Dropout that can be repeated: which units are kept is a function of a key and a counter, not of
// what was drawn before.
#pragma once

#include <cstdint>
#include <span>

namespace parley::decoder {

// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random
// words of a 128-bit counter under a 64-bit key.
struct PhiloxBlock {
  uint32_t words[4];
};
PhiloxBlock philox(const PhiloxBlock& counter, uint64_t key);

// Where in a run the units are dropped. A sentence that is spoken again takes another attempt.
struct DropoutKey {
  uint64_t seed = 0;
  uint32_t sentence = 0;
  uint32_t attempt = 0;
};

// kept[i] = 1 with probability 1 - dropout, else 0, at a step of a sentence.
void draw_kept(const DropoutKey& key, uint32_t step, double dropout, std::span<uint8_t> kept);

}  // namespace parley::decoder
