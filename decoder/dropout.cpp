#include "parley/decoder/dropout.h"

namespace parley::decoder {

PhiloxBlock philox(const PhiloxBlock& counter, uint64_t key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9;
  constexpr uint32_t kWeyl1 = 0xBB67AE85;
  uint32_t c0 = counter.words[0];
  uint32_t c1 = counter.words[1];
  uint32_t c2 = counter.words[2];
  uint32_t c3 = counter.words[3];
  auto k0 = static_cast<uint32_t>(key);
  auto k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += kWeyl0, k1 += kWeyl1) {
    const uint64_t p0 = kMultiplier0 * c0;
    const uint64_t p1 = kMultiplier1 * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
  }
  return {{c0, c1, c2, c3}};
}

void draw_kept(const DropoutKey& key, uint32_t step, double dropout, std::span<uint8_t> kept) {
  const double limit = dropout * 4294967296.0;  // of 2^32 values
  for (size_t i = 0; i < kept.size(); i += 4) {
    const PhiloxBlock random =
        philox({{static_cast<uint32_t>(i / 4), step, key.sentence, key.attempt}}, key.seed);
    for (size_t k = 0; k < 4 && i + k < kept.size(); ++k)
      kept[i + k] = static_cast<double>(random.words[k]) >= limit ? 1 : 0;
  }
}

}  // namespace parley::decoder
